import type { IncomingMessage } from 'node:http'
import { InferenceError } from '../inference-error.ts'

export type BodyLimits = {
  /** Largest body, bytes. */
  readonly maxBodyBytes: number
  /** Requests that are worked on at once. */
  readonly maxRequests: number
}

/** Bodies of the largest size that may be here at once. */
const largestAtOnce = 4

/** Room for bodies: their length is known and fits before a byte of them is read. */
export class BodyBudget {
  readonly #limits: BodyLimits
  #requests = 0
  #bytes = 0

  constructor(limits: BodyLimits) {
    this.#limits = limits
  }

  /**
   * Takes room for one request; the caller gives it back by disposing.
   * @throws InferenceError LENGTH_REQUIRED, TOO_BIG, BUSY
   */
  admit({ headers }: IncomingMessage): Disposable & { readonly bytes: number } {
    const { maxBodyBytes, maxRequests } = this.#limits
    const length = headers['content-length']
    if (length === undefined || !/^\d{1,15}$/.test(length)) {
      throw new InferenceError('LENGTH_REQUIRED', 'Send Content-Length: bodies of unknown size are not read.')
    }
    const bytes = Number(length)
    if (bytes > maxBodyBytes) {
      throw new InferenceError(
        'TOO_BIG',
        `The body has ${bytes} bytes; at most ${maxBodyBytes} are read. Send fewer rows a request.`,
      )
    }
    if (this.#requests >= maxRequests || this.#bytes + bytes > largestAtOnce * maxBodyBytes) {
      throw new InferenceError('BUSY', 'As many requests as fit are worked on. Try again later.')
    }
    this.#requests += 1
    this.#bytes += bytes
    return {
      bytes,
      [Symbol.dispose]: () => {
        this.#requests -= 1
        this.#bytes -= bytes
      },
    }
  }
}

/** Reads a body of known length. Rejects with the signal's reason, or InferenceError MALFORMED where it ends early. */
export const readBody = async (request: IncomingMessage, bytes: number, signal: AbortSignal): Promise<Uint8Array> => {
  const body = Buffer.allocUnsafeSlow(bytes)
  let at = 0
  const stop = (): void => void request.destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      // Node's parser lets no more through than was announced.
      at += chunk.copy(body, at)
    }
  } catch (cause) {
    signal.throwIfAborted()
    throw new InferenceError('MALFORMED', 'The body ended early.', { cause })
  } finally {
    signal.removeEventListener('abort', stop)
  }
  if (at === bytes) return body
  throw new InferenceError('MALFORMED', `The body ended after ${at} of ${bytes} bytes.`)
}
