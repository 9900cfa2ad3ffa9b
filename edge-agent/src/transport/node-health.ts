import { create } from '@bufbuild/protobuf'
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@tributary/contracts/gen/grpc/health/v1/health_pb'
import { healthMethods } from '@tributary/contracts/grpc-service'
import { callErrorOf } from './call-error.ts'
import { dateOf } from './date-header.ts'
import type { Identity } from './identity.ts'
import { requireNode } from './node-client.ts'

/** How a node says it is; `unknown`: it answered, but does not tell. */
export type NodeHealth = {
  readonly serving: 'yes' | 'no' | 'unknown'
  /** Its clock, to the second. */
  readonly date: Date | undefined
}

/** Asks a node by `grpc.health.v1`, with mTLS as everything else. Throws CallError. */
export const checkNodeHealth = async (
  endpoint: string,
  identity: Identity,
  { deadlineMillis, signal }: { readonly deadlineMillis: number; readonly signal: AbortSignal },
): Promise<NodeHealth> => {
  signal.throwIfAborted()
  const secured = credentials.createSsl(identity.authority, identity.key, identity.certificate, {
    checkServerIdentity: requireNode,
  })
  const client = new Client(endpoint, secured, { 'grpc.enable_retries': 0, 'grpc.enable_http_proxy': 0 })
  const { promise, resolve, reject } = Promise.withResolvers<NodeHealth['serving']>()
  const { path, requestSerialize, responseDeserialize } = healthMethods.check
  const call = client.makeUnaryRequest(
    path,
    requestSerialize,
    responseDeserialize,
    create(HealthCheckRequestSchema, {}),
    new Metadata(),
    { deadline: Date.now() + deadlineMillis },
    (error, answer) => {
      if (error === null) resolve(answer?.status === ServingStatus.SERVING ? 'yes' : 'no')
      else if ((error as ServiceError).code === status.UNIMPLEMENTED) resolve('unknown')
      else reject(signal.aborted ? signal.reason : callErrorOf('Check', endpoint, error as ServiceError))
    },
  )
  let date: Date | undefined
  call.on('metadata', metadata => {
    date = dateOf(metadata.get('date')[0]?.toString())
  })
  const cancel = () => call.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    return { serving: await promise, date }
  } finally {
    signal.removeEventListener('abort', cancel)
    client.close()
  }
}
