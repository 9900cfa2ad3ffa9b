import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { agentVersion } from '../../version.ts'
import { InferenceError } from '../inference-error.ts'
import type { InferenceMetrics } from '../inference-metrics.ts'
import { readRequest } from '../protocol/read-request.ts'
import { writeResponse } from '../protocol/write-response.ts'
import type { ServedModel } from '../served-model.ts'
import type { ServedModels } from '../served-models.ts'
import { accessFor } from './access.ts'
import { BodyBudget, type BodyLimits, readBody } from './body-budget.ts'
import type { ListenAddress } from './listen-address.ts'
import { type Route, routeOf } from './routes.ts'

const mostConnections = 256
const mostHeaders = 64
const mostHeaderBytes = 16 * 1024
const headersMillis = 10_000
const keepAliveMillis = 30_000
/** What requests in flight may take when the server closes. */
const closeMillis = 3_000

export type InferenceServerOptions = BodyLimits & {
  readonly address: ListenAddress
  /** Whoever asks must send it; undefined where only this device can ask. */
  readonly token: string | undefined
  /** From the head of a request to its answer. */
  readonly deadlineMillis: number
  readonly models: ServedModels
  readonly metrics: InferenceMetrics
  readonly log: Logger
}

type Answer = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | number>>
  readonly parts: readonly Uint8Array[]
}

/** The Open Inference Protocol (KServe v2) over HTTP, and `GET /metrics`. */
export class InferenceServer implements AsyncDisposable {
  readonly #options: InferenceServerOptions
  readonly #server: Server
  readonly #budget: BodyBudget
  readonly #authorise: (request: IncomingMessage) => void
  readonly #closing = new AbortController()

  private constructor(options: InferenceServerOptions) {
    this.#options = options
    this.#budget = new BodyBudget(options)
    this.#authorise = accessFor(options.token)
    this.#server = createServer({
      maxHeaderSize: mostHeaderBytes,
      headersTimeout: Math.min(headersMillis, options.deadlineMillis),
      requestTimeout: options.deadlineMillis,
      keepAliveTimeout: keepAliveMillis,
      connectionsCheckingInterval: 5_000,
      noDelay: true,
    })
    this.#server.maxHeadersCount = mostHeaders
    this.#server.maxConnections = mostConnections
    // Whoever does not read an answer either.
    this.#server.timeout = 2 * options.deadlineMillis
    this.#server.on('request', (request, response) => void this.#handle(request, response, false))
    this.#server.on('checkContinue', (request, response) => void this.#handle(request, response, true))
  }

  /** Rejects where the address is taken. */
  static async listen(options: InferenceServerOptions): Promise<InferenceServer> {
    const listening = new InferenceServer(options)
    const { host, port } = options.address
    listening.#server.listen(port, host)
    await once(listening.#server, 'listening')
    return listening
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Takes no more, and gives what is in flight a moment. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeIdleConnections()
    await Promise.race([closed, delay(closeMillis, undefined, { ref: false })])
    this.#server.closeAllConnections()
    await closed
  }

  async #handle(request: IncomingMessage, response: ServerResponse, asksFirst: boolean): Promise<void> {
    const controller = new AbortController()
    const { deadlineMillis } = this.#options
    const late = (): void =>
      controller.abort(new InferenceError('DEADLINE', `There was no answer within ${deadlineMillis / 1000} s.`))
    const deadline = setTimeout(late, deadlineMillis)
    response.once('close', () => controller.abort(new InferenceError('STOPPING', 'The client is gone.')))
    response.on('error', () => {})
    try {
      this.#authorise(request)
      const route = routeOf(request.method, request.url)
      const answer =
        route.kind === 'infer'
          ? await this.#infer(route, request, controller.signal, () => asksFirst && response.writeContinue())
          : await this.#tell(route, controller.signal)
      this.#send(response, answer)
    } catch (error) {
      this.#refuse(request, response, error)
    } finally {
      clearTimeout(deadline)
    }
  }

  async #infer(
    { name, version }: Extract<Route, { name: string }>,
    request: IncomingMessage,
    signal: AbortSignal,
    goOn: () => void,
  ): Promise<Answer> {
    const { models, metrics } = this.#options
    const started = performance.now()
    const known = models.find(name, version).deployed.modelName
    const seconds = (): number => (performance.now() - started) / 1000
    try {
      using room = this.#budget.admit(request)
      const { headers } = request
      if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
        throw new InferenceError('MALFORMED', 'Send the body without Content-Encoding.')
      }
      const jsonBytes = readHeaderLength(headers['inference-header-content-length'])
      goOn()
      const { id, inputs, outputs, isBinary } = readRequest(await readBody(request, room.bytes, signal), jsonBytes)
      const result = await models.infer(name, version, { inputs, outputs }, signal)
      const { modelName, versionNumber } = result.deployed
      const body = writeResponse({ modelName, modelVersion: String(versionNumber), id }, result.outputs, isBinary)
      metrics.answered(known, seconds())
      const { jsonBytes: length } = body
      return length === undefined
        ? { ...body, headers: { 'content-type': 'application/json' } }
        : {
            ...body,
            headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': length },
          }
    } catch (error) {
      metrics.answered(known, seconds(), error instanceof InferenceError ? error.code : 'RUN_FAILED')
      throw error
    }
  }

  async #tell(route: Exclude<Route, { kind: 'infer' }>, signal: AbortSignal): Promise<Answer> {
    const { models, metrics } = this.#options
    switch (route.kind) {
      case 'server':
        return json({ name: 'tributary', version: agentVersion, extensions: ['binary_tensor_data'] })
      case 'live':
        return json({ live: true })
      case 'ready':
        return readiness({}, !this.#closing.signal.aborted && models.list.every(({ version }) => version.ready))
      case 'models':
        return json({
          models: models.list.map(({ deployed }) => ({
            name: deployed.modelName,
            version: String(deployed.versionNumber),
          })),
        })
      case 'metrics':
        return {
          headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
          parts: [Buffer.from(metrics.page(models.list))],
        }
      case 'model-ready':
        return readiness({ name: route.name }, models.find(route.name, route.version).version.ready)
      case 'model':
      case 'infer':
        return json(await this.#metadata(models.find(route.name as string, route.version), signal))
    }
  }

  async #metadata({ deployed, version }: ServedModel, signal: AbortSignal): Promise<unknown> {
    const { inputs, outputs } = await version.describe()
    signal.throwIfAborted()
    const { modelName, versionNumber } = deployed
    return { name: modelName, versions: [String(versionNumber)], platform: 'onnxruntime_onnx', inputs, outputs }
  }

  #send(response: ServerResponse, { status = 200, headers = {}, parts }: Answer): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    response.writeHead(status, {
      ...headers,
      'content-length': length,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    for (const part of parts) response.write(part)
    response.end()
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known = error instanceof InferenceError
    if (!known) this.#options.log.error({ err: error }, 'a request failed that should not')
    else if (error.status < 500 && error.code !== 'NOT_FOUND')
      this.#options.log.debug({ code: error.code }, 'a request was refused')
    if (response.headersSent || response.destroyed) return void response.destroy()
    const { status, code, message } = known ? error : internal
    if (isBeforeModel(code)) this.#options.metrics.refused(code)
    // What was not read is not waited for.
    const headers: Record<string, string | number> = {
      'content-type': 'application/json',
      ...(request.complete ? {} : { connection: 'close' }),
    }
    if (known && error.retryAfterSeconds !== undefined) headers['retry-after'] = error.retryAfterSeconds
    if (code === 'UNAUTHORISED') headers['www-authenticate'] = 'Bearer'
    this.#send(response, { status, headers, parts: [Buffer.from(JSON.stringify({ error: message, code }))] })
  }
}

const internal = new InferenceError('RUN_FAILED', 'The agent failed at this request. Its log has the cause.')

const isBeforeModel = (code: string): code is 'UNAUTHORISED' | 'HOST_REFUSED' | 'NOT_FOUND' | 'METHOD_NOT_ALLOWED' =>
  ['UNAUTHORISED', 'HOST_REFUSED', 'NOT_FOUND', 'METHOD_NOT_ALLOWED'].includes(code)

const json = (value: unknown, status = 200): Answer => ({
  status,
  headers: { 'content-type': 'application/json' },
  parts: [Buffer.from(JSON.stringify(value))],
})

const readiness = (fields: object, ready: boolean): Answer => json({ ...fields, ready }, ready ? 200 : 503)

/** Throws InferenceError MALFORMED. */
const readHeaderLength = (header: string | string[] | undefined): number | undefined => {
  if (header === undefined) return undefined
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return Number(header)
  throw new InferenceError('MALFORMED', 'Inference-Header-Content-Length is not a number of bytes.')
}
