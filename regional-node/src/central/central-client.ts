import { RenewCertificate } from '@tributary/contracts/enrolment'
import { Registered } from '@tributary/contracts/fleet'
import { NodeLogsRequest, NodeStatusAnswer, NodeStatusRequest } from '@tributary/contracts/node-status'
import type * as z from 'zod'
import type { NodeIdentity } from '../identity/node-identity.ts'
import { signRequest } from '../identity/signed-request.ts'
import type { CentralClock, RoundTrip } from './central-clock.ts'

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

/**
 * Text of devices goes on with what the node says itself, and central refuses a call of which one text is not to be kept: a device
 * could end the leases of its node. Also, a control character would take six bytes of the call, which has 1 MiB at most.
 */
const keepable = (_: string, value: unknown): unknown =>
  typeof value === 'string' ? value.toWellFormed().replaceAll(/[^\P{Cc}\r\n\t]/gu, '\uFFFD') : value

/** The REST API of central, as far as a node uses it. Every request is signed by the node's certificate. */
export class CentralClient {
  readonly #url: string
  readonly #clock: CentralClock
  #identity: NodeIdentity

  constructor(url: string, identity: NodeIdentity, clock: CentralClock) {
    this.#url = url
    this.#identity = identity
    this.#clock = clock
  }

  /** @throws CentralError */
  async status(request: NodeStatusRequest, signal: AbortSignal): Promise<NodeStatusAnswer> {
    const { answer, trip } = await this.#post('status', NodeStatusRequest, request, signal)
    const parsed = NodeStatusAnswer.safeParse(answer)
    if (!parsed.success) throw new CentralError('the status answer is not as agreed', { cause: parsed.error })
    this.#clock.heard(Date.parse(parsed.data.time), trip)
    return parsed.data
  }

  /** @throws CentralError */
  async logs(request: NodeLogsRequest, signal: AbortSignal): Promise<void> {
    await this.#post('logs', NodeLogsRequest, request, signal)
  }

  /**
   * Asks for the certificate that follows the current one.
   * @returns PEM; whether it fits is not looked at
   * @throws CentralError
   */
  async renewCertificate(csr: string, signal: AbortSignal): Promise<string> {
    const { answer } = await this.#post('certificate', RenewCertificate, { csr }, signal)
    const parsed = Registered.safeParse(answer)
    if (!parsed.success) throw new CentralError('the new certificate is not as agreed', { cause: parsed.error })
    return parsed.data.certificate
  }

  /** Requests from now on are signed by this certificate. */
  useIdentity(identity: NodeIdentity): void {
    this.#identity = identity
  }

  async #post<Body extends z.ZodType>(what: string, schema: Body, request: z.infer<Body>, signal: AbortSignal) {
    const body = JSON.stringify(schema.parse(request), keepable)
    const signer = this.#identity
    try {
      return await this.#send(what, body, signal)
    } catch (error) {
      // The first request of the next certificate ends the time of the one before, also for what it signed and is on its way.
      const isOvertaken = error instanceof CentralError && error.status === 401 && signer !== this.#identity
      if (!isOvertaken) throw error
      return await this.#send(what, body, signal)
    }
  }

  async #send(what: string, body: string, signal: AbortSignal) {
    const path = `/v1/regional-nodes/${this.#identity.id}/${what}`
    const token = await signRequest(this.#identity, { method: 'POST', path, body, now: this.#clock.now() })
    const sentAt = this.#clock.monotonic()
    try {
      const response = await fetch(`${this.#url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body,
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(answerMillis)]),
      })
      const text = await readBounded(response)
      const trip = { sentAt, receivedAt: this.#clock.monotonic() }
      if (!response.ok) {
        if (response.status === 401) this.#readDate(response, trip)
        throw new CentralError(`central answers ${response.status} to ${what}: ${text.slice(0, 500)}`, {
          status: response.status,
        })
      }
      return { answer: text === '' ? undefined : (JSON.parse(text) as unknown), trip }
    } catch (error) {
      if (error instanceof CentralError) throw error
      throw new CentralError(`central does not answer to ${what}: ${(error as Error).message}`, { cause: error })
    }
  }

  // Signed by a clock that is too wrong, no request is let in that could be answered with the time: the refusal's date will do.
  #readDate(response: Response, trip: RoundTrip): void {
    const date = Date.parse(response.headers.get('date') ?? '')
    if (!Number.isNaN(date)) this.#clock.heard(date, trip, 1000)
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
