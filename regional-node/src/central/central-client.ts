import { NodeLogsRequest, NodeStatusAnswer, NodeStatusRequest } from '@tributary/contracts/node-status'
import type * as z from 'zod'
import type { Clock } from '../clock.ts'
import type { NodeIdentity } from '../identity/node-identity.ts'
import { signRequest } from '../identity/signed-request.ts'

const answerMillis = 4000
const mostAnswerBytes = 16 * 1024 * 1024

/** Central did not answer, or not with what was agreed. */
export class CentralError extends Error {
  override readonly name = 'CentralError'
  readonly status: number | undefined

  constructor(message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.status = options.status
  }
}

/** The REST API of central, as far as a node uses it. Every request is signed by the node's certificate. */
export class CentralClient {
  readonly #url: string
  readonly #identity: NodeIdentity
  readonly #clock: Clock

  constructor(url: string, identity: NodeIdentity, clock: Clock) {
    this.#url = url
    this.#identity = identity
    this.#clock = clock
  }

  /** @throws CentralError */
  async status(request: NodeStatusRequest, signal: AbortSignal): Promise<NodeStatusAnswer> {
    const answer = await this.#post('status', NodeStatusRequest, request, signal)
    const parsed = NodeStatusAnswer.safeParse(answer)
    if (!parsed.success) throw new CentralError('the status answer is not as agreed', { cause: parsed.error })
    return parsed.data
  }

  /** @throws CentralError */
  async logs(request: NodeLogsRequest, signal: AbortSignal): Promise<void> {
    await this.#post('logs', NodeLogsRequest, request, signal)
  }

  async #post<Body extends z.ZodType>(what: string, schema: Body, request: z.infer<Body>, signal: AbortSignal) {
    const path = `/v1/regional-nodes/${this.#identity.id}/${what}`
    const body = JSON.stringify(schema.parse(request))
    const token = await signRequest(this.#identity, { method: 'POST', path, body, now: this.#clock.now() })
    try {
      const response = await fetch(`${this.#url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body,
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(answerMillis)]),
      })
      const text = await readBounded(response)
      if (!response.ok) {
        throw new CentralError(`central answers ${response.status} to ${what}: ${text.slice(0, 500)}`, {
          status: response.status,
        })
      }
      return text === '' ? undefined : (JSON.parse(text) as unknown)
    } catch (error) {
      if (error instanceof CentralError) throw error
      throw new CentralError(`central does not answer to ${what}: ${(error as Error).message}`, { cause: error })
    }
  }
}

const readBounded = async (response: Response): Promise<string> => {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.byteLength
    if (bytes > mostAnswerBytes) throw new CentralError('the answer of central is too large')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}
