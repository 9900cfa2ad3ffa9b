import type { Answer } from './round/round-effect.ts'
import type { RequestId } from './round/round-event.ts'

/** Calls that wait for an answer of the machine. */
export class RoundRequests {
  readonly #waiting = new Map<RequestId, PromiseWithResolvers<Answer>>()
  #newest = 0
  #ended: { readonly error: unknown } | { readonly answer: Answer } | undefined

  /** Makes a call: `send` gives its id to the machine. */
  ask(send: (request: RequestId) => void): Promise<Answer> {
    const call = Promise.withResolvers<Answer>()
    if (this.#ended !== undefined) {
      end(call, this.#ended)
      return call.promise
    }
    this.#newest += 1
    this.#waiting.set(this.#newest, call)
    send(this.#newest)
    return call.promise
  }

  answer(request: RequestId, answer: Answer): void {
    this.#waiting.get(request)?.resolve(answer)
    this.#waiting.delete(request)
  }

  /** Ends every call, those that wait and those that come. */
  end(how: { readonly error: unknown } | { readonly answer: Answer }): void {
    this.#ended ??= how
    for (const call of this.#waiting.values()) end(call, this.#ended)
    this.#waiting.clear()
  }
}

const end = (
  call: PromiseWithResolvers<Answer>,
  how: { readonly error: unknown } | { readonly answer: Answer },
): void => {
  if ('answer' in how) call.resolve(how.answer)
  else call.reject(how.error)
}
