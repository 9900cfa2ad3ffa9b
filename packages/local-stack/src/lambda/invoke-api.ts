import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AwsCredentials, SignatureError, verifySignature } from '../services/aws-signature/verify-signature.ts'
import type { AsyncInvocations } from './async-invocations.ts'
import type { FunctionPool } from './function-pool.ts'
import { payloadLimits, ThrottledError } from './invocation.ts'
import { type ListenAddress, type ListeningServer, listen } from './listen.ts'
import { readBody } from './read-body.ts'

export interface InvokeApiOptions {
  readonly pools: ReadonlyMap<string, FunctionPool>
  readonly events: AsyncInvocations
  /** Whose signature is taken; requests of others are refused. */
  readonly credentials: AwsCredentials
  /** Whether events are consumed already: what `/healthz` waits for. */
  readonly isReady: () => boolean
}

const path = /^\/2015-03-31\/functions\/([^/?]{1,170})\/invocations(?:\?|$)/
const serverOptions = { noDelay: true, keepAliveTimeout: 65_000, headersTimeout: 10_000, requestTimeout: 30_000 }

/** A refusal of the Invoke API, as the AWS SDK reads it. */
class InvokeError extends Error {
  readonly status: number
  readonly type: string

  constructor(status: number, type: string, message: string) {
    super(message)
    this.name = 'InvokeError'
    this.status = status
    this.type = type
  }
}

/**
 * Lambda's Invoke operation for the unmodified SDK, and `GET /healthz`: 503 until ready; with the process ids of all instances.
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 */
export function startInvokeApi(address: ListenAddress, options: InvokeApiOptions): Promise<ListeningServer> {
  return listen(address, serverOptions, (request, response) => {
    if (request.method === 'GET' && request.url === '/healthz') return health(response, options)
    invoke(request, response, options).catch(error => {
      const known = toInvokeError(error)
      if (known.status === 500) console.error(`invoke: ${(error as Error).stack}`)
      send(response, known.status, JSON.stringify({ Type: 'User', message: known.message }), {
        'x-amzn-errortype': known.type,
      })
    })
  })
}

async function invoke(request: IncomingMessage, response: ServerResponse, options: InvokeApiOptions): Promise<void> {
  const type = String(request.headers['x-amz-invocation-type'] ?? 'RequestResponse')
  const limit = type === 'Event' ? payloadLimits.asynchronous : payloadLimits.synchronous
  const payload = await readBody(request, limit)
  const name = path.exec(request.url ?? '')?.[1]
  if (request.method !== 'POST' || name === undefined) {
    throw new InvokeError(404, 'UnknownOperationException', 'Only Invoke is served here.')
  }
  if (!payload) throw new InvokeError(413, 'RequestTooLargeException', `The payload is larger than ${limit} bytes.`)
  checkSignature(request, payload, options.credentials)
  const pool = options.pools.get(functionName(name))
  if (!pool) throw new InvokeError(404, 'ResourceNotFoundException', `Function not found: ${functionName(name)}`)
  const event = checkedJson(payload)

  if (type === 'DryRun') return send(response, 204, '')
  if (type === 'Event') {
    const requestId = options.events.accept(pool, event)
    if (!requestId) throw new InvokeError(429, 'TooManyRequestsException', `${name}: too many events wait.`)
    return send(response, 202, '', { 'x-amzn-requestid': requestId })
  }
  if (type !== 'RequestResponse') {
    throw new InvokeError(400, 'InvalidParameterValueException', `There is no invocation type ${type}.`)
  }
  const result = await pool.invoke(event, 'bounded')
  send(response, 200, result.payload, {
    'x-amzn-requestid': result.requestId,
    'x-amz-executed-version': '$LATEST',
    ...(result.errorType === undefined ? {} : { 'x-amz-function-error': 'Unhandled' }),
  })
}

function health(response: ServerResponse, { pools, isReady }: InvokeApiOptions): void {
  const instances = Object.fromEntries([...pools].map(([name, pool]) => [name, pool.processIds()]))
  const status = isReady() ? 'ok' : 'starting'
  send(response, isReady() ? 200 : 503, JSON.stringify({ status, instances }))
}

/** A name, a partial or a whole ARN, with or without a qualifier. */
function functionName(text: string): string {
  let name = text
  try {
    name = decodeURIComponent(text)
  } catch {
    // Then it is no function's name either.
  }
  return /(?:^|:)function:([^:]+)/.exec(name)?.[1] ?? name.split(':')[0] ?? name
}

/** @throws SignatureError unless the request and its body are signed with our key. */
function checkSignature(request: IncomingMessage, payload: Buffer, credentials: AwsCredentials): void {
  const payloadHash = createHash('sha256').update(payload).digest('hex')
  const declared = request.headers['x-amz-content-sha256']
  if (declared !== undefined && declared !== payloadHash) {
    throw new SignatureError('SignatureDoesNotMatch', 'the body is not the signed one')
  }
  verifySignature(
    { method: request.method ?? '', url: request.url ?? '', headers: request.headers },
    { credentials, service: 'lambda', now: new Date(), payloadHash },
  )
}

const signatureErrors = new Map([
  ['AccessDenied', 'MissingAuthenticationTokenException'],
  ['InvalidAccessKeyId', 'UnrecognizedClientException'],
])

function toInvokeError(error: unknown): InvokeError {
  if (error instanceof InvokeError) return error
  if (error instanceof ThrottledError) return new InvokeError(429, 'TooManyRequestsException', error.message)
  if (error instanceof SignatureError) {
    return new InvokeError(403, signatureErrors.get(error.code) ?? 'InvalidSignatureException', error.message)
  }
  return new InvokeError(500, 'ServiceException', 'The runner failed; its log has the cause.')
}

function checkedJson(payload: Buffer): Buffer {
  if (payload.length === 0) return Buffer.from('{}')
  try {
    JSON.parse(payload.toString('utf8'))
    return payload
  } catch {
    throw new InvokeError(400, 'InvalidRequestContentException', 'Could not parse request body into json.')
  }
}

function send(response: ServerResponse, status: number, body: string | Buffer, headers: Record<string, string> = {}) {
  response.writeHead(status, {
    'content-type': 'application/json',
    'x-amzn-requestid': randomUUID(),
    ...(status === 204 ? {} : { 'content-length': Buffer.byteLength(body) }),
    ...headers,
  })
  response.end(status === 204 ? undefined : body)
}
