import * as z from 'zod'
import { type Datatype, isDatatype } from '../../../inference/datatype.ts'
import { CommandError } from '../agent-command.ts'
import type { Predictor } from './predictor.ts'

const Models = z.object({ models: z.array(z.object({ name: z.string() })) })
const Port = z.object({ name: z.string(), datatype: z.custom<Datatype>(isDatatype), shape: z.array(z.int()) })
const Metadata = z.object({ name: z.string(), inputs: z.array(Port) })
const Refusal = z.object({ error: z.string() })

const deadlineMillis = 120_000

/** An agent that serves on this device, asked over HTTP. */
export class ServingAgent {
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #signal: AbortSignal

  constructor(url: string, token: string | undefined, signal: AbortSignal) {
    this.#url = url.replace(/\/+$/, '')
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    this.#signal = signal
  }

  /** Names of what is served; undefined where nobody listens. Rejects with CommandError. */
  async models(): Promise<readonly string[] | undefined> {
    const answer = await this.#fetch('/v2/models').catch((error: unknown) => {
      if (isRefused(error)) return undefined
      throw error
    })
    return answer === undefined ? undefined : read(Models, answer).models.map(({ name }) => name)
  }

  /** Rejects with CommandError. */
  async open(model: string): Promise<Predictor> {
    const path = `/v2/models/${encodeURIComponent(model)}`
    const { inputs } = read(Metadata, await this.#fetch(path))
    return {
      inputs,
      infer: request => this.#fetch(`${path}/infer`, request),
      [Symbol.asyncDispose]: async () => {},
    }
  }

  async #fetch(path: string, body?: string): Promise<string> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(deadlineMillis)])
    const response = await fetch(`${this.#url}${path}`, {
      ...(body === undefined ? {} : { method: 'POST', body }),
      headers: { ...this.#headers, 'content-type': 'application/json' },
      signal,
    }).catch((cause: Error) => {
      if (isRefused(cause)) throw cause
      throw new CommandError(`The agent at ${this.#url} does not answer: ${reasonOf(cause)}.`, { cause })
    })
    const text = await response.text()
    if (response.ok) return text
    const refusal = Refusal.safeParse(parsed(text))
    throw new CommandError(refusal.success ? refusal.data.error : `The agent answered with status ${response.status}.`)
  }
}

const isRefused = (error: unknown): boolean =>
  error instanceof Error && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED'

const reasonOf = (error: Error): string => (error.cause as NodeJS.ErrnoException | undefined)?.code ?? error.message

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const read = <Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> => {
  const found = schema.safeParse(parsed(text))
  if (found.success) return found.data
  throw new CommandError('What answers at this address is no agent that serves models. Check --url.')
}
