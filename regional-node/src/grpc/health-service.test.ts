import assert from 'node:assert/strict'
import { once } from 'node:events'
import { afterEach, beforeEach, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  Client,
  type ClientReadableStream,
  credentials,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import {
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@tributary/contracts/gen/grpc/health/v1/health_pb'
import { healthMethods } from '@tributary/contracts/grpc-service'
import { HealthService } from './health-service.ts'

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = ServingStatus
const serviceName = 'tributary.fl.v1.FederatedLearning'
let isServing = true
let health: HealthService
let server: Server
let client: Client

beforeEach(async () => {
  isServing = true
  health = new HealthService(() => isServing)
  server = new Server()
  server.addService(healthMethods, { check: health.check, watch: health.watch })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
})
afterEach(() => {
  client.close()
  server.forceShutdown()
})

const check = (service: string): Promise<ServingStatus> => {
  const { path, requestSerialize, responseDeserialize } = healthMethods.check
  const request = create(HealthCheckRequestSchema, { service })
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) =>
      answer === undefined ? reject(error) : resolve(answer.status),
    ),
  )
}

const watch = (service: string): ClientReadableStream<HealthCheckResponse> => {
  const { path, requestSerialize, responseDeserialize } = healthMethods.watch
  const request = create(HealthCheckRequestSchema, { service })
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request)
  call.on('error', () => {})
  return call
}
const next = async (call: ClientReadableStream<HealthCheckResponse>): Promise<ServingStatus> => {
  const [message] = (await once(call, 'data')) as [HealthCheckResponse]
  return message.status
}

test('the server and its service are served or not, as the node says at that moment', async () => {
  assert.deepEqual([await check(''), await check(serviceName)], [SERVING, SERVING])
  isServing = false
  assert.deepEqual([await check(''), await check(serviceName)], [NOT_SERVING, NOT_SERVING])
})

test('a check of a service that is not here is answered with NOT_FOUND', async () => {
  await assert.rejects(check('other.Service'), (error: ServiceError) => error.code === status.NOT_FOUND)
})

test('who watches is told at once and at each change', async () => {
  const call = watch(serviceName)
  assert.equal(await next(call), SERVING)
  isServing = false
  assert.equal(await next(call), NOT_SERVING)
  isServing = true
  assert.equal(await next(call), SERVING)
})

test('who watches a service that is not here is told so and stays', async () => {
  const call = watch('other.Service')
  assert.equal(await next(call), SERVICE_UNKNOWN)
  isServing = false
  const known = watch('')
  assert.equal(await next(known), NOT_SERVING)
  assert.equal(call.destroyed, false)
})

test('no more than 64 watch, those who left do not count, and the end of the node ends the watches', async () => {
  const calls = Array.from({ length: 64 }, () => watch(''))
  await Promise.all(calls.map(next))
  await assert.rejects(next(watch('')), (error: ServiceError) => error.code === status.RESOURCE_EXHAUSTED)
  calls.pop()?.cancel()
  // The server hears of it a moment later.
  while ((await next(watch('')).catch(() => undefined)) !== SERVING);
  const ends = calls.map(call => once(call, 'end'))
  health[Symbol.dispose]()
  await Promise.all(ends)
})
