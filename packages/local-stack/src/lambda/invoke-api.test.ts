import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { AsyncInvocations } from './async-invocations.ts'
import type { PoolOptions } from './function-pool.ts'
import { startInvokeApi } from './invoke-api.ts'
import { fixtureSpec, testPool, until } from './testing.ts'

async function testInvoke(changes: Partial<PoolOptions> = {}) {
  await using stack = new AsyncDisposableStack()
  const fixture = stack.use(await testPool(changes))
  const events = stack.use(new AsyncInvocations({ maxEvents: 3, retrySeconds: [], onDiscarded: () => undefined }))
  const pools = new Map([['fixture', fixture.pool]])
  const options = {
    pools,
    events,
    credentials: { accessKeyId: 'AKIDLOCAL', secretAccessKey: 'secret' },
    isReady: () => true,
  }
  const api = stack.use(await startInvokeApi({ host: '127.0.0.1', port: 0 }, options))
  const endpoint = `http://127.0.0.1:${api.port}`
  const clientOf = (accessKeyId: string, secretAccessKey: string) =>
    stack.adopt(
      new LambdaClient({
        endpoint,
        region: 'eu-central-1',
        credentials: { accessKeyId, secretAccessKey },
        maxAttempts: 1,
      }),
      client => client.destroy(),
    )
  const client = clientOf('AKIDLOCAL', 'secret')
  const stranger = clientOf('AKIDOTHER', 'secret')
  const forger = clientOf('AKIDLOCAL', 'guess')
  const owned = stack.move()
  return { ...fixture, endpoint, client, stranger, forger, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const invocation = (event: object, more: object = {}) =>
  new InvokeCommand({ FunctionName: 'fixture', Payload: JSON.stringify(event), ...more })
const named = (name: string) => (error: Error) => error.name === name

test('the AWS SDK gets the answer of a function, by name or ARN', async () => {
  await using api = await testInvoke()
  const arn = 'arn:aws:lambda:eu-central-1:000000000000:function:fixture'
  for (const FunctionName of ['fixture', arn]) {
    const answer = await api.client.send(invocation({ hello: 'wörld' }, { FunctionName }))
    assert.equal(answer.StatusCode, 200)
    assert.equal(answer.FunctionError, undefined)
    assert.deepEqual(JSON.parse(answer.Payload?.transformToString() ?? ''), { hello: 'wörld' })
  }
})

test('the AWS SDK is told that a function failed, and how', async () => {
  await using api = await testInvoke()
  const answer = await api.client.send(invocation({ op: 'throw' }))
  assert.equal(answer.StatusCode, 200)
  assert.equal(answer.FunctionError, 'Unhandled')
  assert.equal(JSON.parse(answer.Payload?.transformToString() ?? '').errorMessage, 'no such thing')
})

test('an event is accepted before the function runs, and runs', async () => {
  await using api = await testInvoke()
  const file = join(api.folder, 'attempts')
  const answer = await api.client.send(invocation({ op: 'fail-until', attempts: 1, file }, { InvocationType: 'Event' }))
  assert.equal(answer.StatusCode, 202)
  await until(() => /REPORT/.test(api.log.tail()))
  assert.equal(readFileSync(file, 'utf8').trim(), answer.$metadata.requestId)
})

test('events beyond the bound and invocations that find no instance are throttled', async () => {
  await using api = await testInvoke({ spec: { ...fixtureSpec, concurrency: 1 }, waitSeconds: 0.1 })
  const sleep = invocation({ op: 'sleep', ms: 300 }, { InvocationType: 'Event' })
  for (let sent = 0; sent < 3; sent++) await api.client.send(sleep)
  await assert.rejects(api.client.send(sleep), named('TooManyRequestsException'))
  await assert.rejects(api.client.send(invocation({})), named('TooManyRequestsException'))
})

test('unknown functions, payloads that are too large or no JSON, and other signatures are refused', async () => {
  await using api = await testInvoke()
  const unknown = invocation({}, { FunctionName: 'nobody' })
  await assert.rejects(api.client.send(unknown), named('ResourceNotFoundException'))
  const large = { text: 'x'.repeat(6 * 1024 * 1024) }
  await assert.rejects(api.client.send(invocation(large)), named('RequestTooLargeException'))
  const largeEvent = invocation({ text: 'x'.repeat(1024 * 1024) }, { InvocationType: 'Event' })
  await assert.rejects(api.client.send(largeEvent), named('RequestTooLargeException'))
  const broken = invocation({}, { Payload: '{' })
  await assert.rejects(api.client.send(broken), named('InvalidRequestContentException'))
  await assert.rejects(api.stranger.send(invocation({})), named('UnrecognizedClientException'))
  await assert.rejects(api.forger.send(invocation({})), named('InvalidSignatureException'))
  const url = `${api.endpoint}/2015-03-31/functions/fixture/invocations`
  assert.equal((await fetch(url, { method: 'POST', body: '{}' })).status, 403)
  assert.equal((await fetch(`${api.endpoint}/`)).status, 404)
  assert.equal((await fetch(`${api.endpoint}/healthz`)).status, 200)
  assert.equal(api.pool.processIds().length, 0)
})
