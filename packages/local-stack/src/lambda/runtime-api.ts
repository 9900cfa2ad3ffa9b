import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { payloadLimits } from './invocation.ts'
import { listen } from './listen.ts'
import { readBody } from './read-body.ts'

/** One event as an instance gets it from `GET …/invocation/next`. */
export interface RuntimeWork {
  readonly requestId: string
  readonly functionArn: string
  /** Unix time in ms. */
  readonly deadline: number
  readonly payload: Buffer
}

/** What an instance tells the platform. */
export interface RuntimeClient {
  /** It waits for work; `give` hands one event to it. */
  onNext(give: (work: RuntimeWork) => void): void
  onAnswer(requestId: string, payload: Buffer, errorType: string | undefined): void
  onInitError(payload: Buffer, errorType: string): void
}

export interface RuntimeApi extends AsyncDisposable {
  /** Value of AWS_LAMBDA_RUNTIME_API for this client. Its path is a secret: an instance cannot speak as another one. */
  register(client: RuntimeClient): { readonly address: string } & Disposable
}

const route =
  /^\/([0-9a-f]{32})\/2018-06-01\/runtime\/(?:invocation\/(next|[0-9a-f-]{36}\/(?:response|error))|init\/(error))$/

/**
 * Serves the Lambda Runtime API to the instances, on any free loopback port.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
export async function startRuntimeApi(): Promise<RuntimeApi> {
  const clients = new Map<string, RuntimeClient>()
  // A connection is idle for as long as a handler runs; only the instance itself may end it.
  const server = await listen({ host: '127.0.0.1', port: 0 }, { keepAliveTimeout: 0, noDelay: true }, (req, res) => {
    const [, token = '', verb, init] = route.exec(req.url ?? '') ?? []
    const client = clients.get(token)
    if (!client) return accept(res, 404)
    if (req.method === 'GET' && verb === 'next') return client.onNext(work => give(res, work))
    if (req.method !== 'POST') return accept(res, 405)
    void takeAnswer(client, req, res, init ? 'init' : (verb ?? '')).catch(() => res.destroy())
  })
  return {
    register(client) {
      const token = randomBytes(16).toString('hex')
      clients.set(token, client)
      return {
        address: `127.0.0.1:${server.port}/${token}`,
        [Symbol.dispose]: () => void clients.delete(token),
      }
    },
    async [Symbol.asyncDispose]() {
      server.server.closeAllConnections()
      await server[Symbol.asyncDispose]()
    },
  }
}

function give(res: ServerResponse, { requestId, functionArn, deadline, payload }: RuntimeWork): void {
  res.writeHead(200, {
    'content-type': 'application/json',
    'content-length': payload.length,
    'lambda-runtime-aws-request-id': requestId,
    'lambda-runtime-deadline-ms': deadline,
    'lambda-runtime-invoked-function-arn': functionArn,
    'lambda-runtime-trace-id': `Root=1-${Math.floor(Date.now() / 1000).toString(16)}-${requestId.replaceAll('-', '').slice(0, 24)};Sampled=0`,
  })
  res.end(payload)
}

async function takeAnswer(client: RuntimeClient, req: IncomingMessage, res: ServerResponse, verb: string) {
  const body = await readBody(req, payloadLimits.synchronous)
  const errorType = String(req.headers['lambda-runtime-function-error-type'] ?? 'Error')
  if (verb === 'init') client.onInitError(body ?? Buffer.from('{}'), errorType)
  else {
    const [requestId = '', kind] = verb.split('/')
    if (body) client.onAnswer(requestId, body, kind === 'error' ? errorType : undefined)
    else {
      const errorMessage = `The answer is larger than ${payloadLimits.synchronous} bytes.`
      const tooLarge = { errorType: 'Function.ResponseSizeTooLarge', errorMessage }
      client.onAnswer(requestId, Buffer.from(JSON.stringify(tooLarge)), tooLarge.errorType)
    }
  }
  accept(res, body ? 202 : 413)
}

function accept(res: ServerResponse, status: number): void {
  const body = status === 202 ? '{"status":"OK"}' : '{}'
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length })
  res.end(body)
}
