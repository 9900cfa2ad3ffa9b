import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Problem } from '@tributary/contracts/problem'
import { type RouteName, routes } from '@tributary/contracts/routes'
import type * as z from 'zod'

type Routes = typeof routes
type BodyOf<Name extends RouteName> = Routes[Name] extends { body: infer Body extends z.ZodType }
  ? z.input<Body>
  : undefined
type AnswerOf<Name extends RouteName> = z.output<Routes[Name]['answer']>

export type CallOptions<Name extends RouteName> = {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number>>
  readonly body?: BodyOf<Name>
  readonly signal?: AbortSignal
}

/** The API refused; the message is its problem document in one line. */
export class ApiRefusedError extends Error {
  override readonly name = 'ApiRefusedError'
  readonly status: number
  readonly code: string | undefined

  constructor(name: RouteName, status: number, problem: Problem | undefined) {
    const reason = problem === undefined ? '' : `: ${problem.code}: ${problem.detail ?? problem.title}`
    const fields = problem?.errors?.map(error => `${error.path} ${error.message}`).join('; ')
    super(`${name} was refused with ${status}${reason}${fields ? ` (${fields})` : ''}`)
    this.status = status
    this.code = problem?.code
  }
}

/** Ten seconds in all: a control plane that failed is back by then. */
const attempts = 9
const longestPauseMillis = 2000
const callTimeoutMillis = 20_000
const isTransient = (status: number): boolean => status === 429 || status === 502 || status === 503

/** A client of the public API, typed by the route table. Repeats what is safe to repeat: every mutation carries a key. */
export class ApiClient {
  readonly #url: string
  readonly #token: string

  constructor(url: string, token: string) {
    this.#url = url
    this.#token = token
  }

  /**
   * @throws ApiRefusedError with the catalogue code
   * @throws TypeError where nothing answers
   */
  async call<Name extends RouteName>(name: Name, options: CallOptions<Name> = {}): Promise<AnswerOf<Name>> {
    const idempotencyKey = randomUUID()
    for (let attempt = 1; ; attempt += 1) {
      const tried = await this.#try(name, options, idempotencyKey).catch((error: unknown) => {
        // `fetch` says so where the connection is refused or lost; every mutation has its key, so it may have come through.
        if (error instanceof TypeError) return { ok: false, isTransient: true, error } as const
        throw error
      })
      if (tried.ok) return tried.answer
      if (attempt >= attempts || !tried.isTransient) throw tried.error
      const millis = Math.min(longestPauseMillis, 100 * 2 ** attempt) * (0.5 + Math.random())
      await delay(millis, undefined, options.signal ? { signal: options.signal } : {})
    }
  }

  async #try<Name extends RouteName>(
    name: Name,
    options: CallOptions<Name>,
    idempotencyKey: string,
  ): Promise<{ ok: true; answer: AnswerOf<Name> } | { ok: false; isTransient: boolean; error: ApiRefusedError }> {
    const route = routes[name]
    const path = route.path.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(options.params?.[key] ?? ''))
    const url = new URL(path, this.#url)
    for (const [key, value] of Object.entries(options.query ?? {})) url.searchParams.set(key, String(value))
    const timeout = AbortSignal.timeout(callTimeoutMillis)
    const answer = await fetch(url, {
      method: route.method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(route.idempotent ? { 'idempotency-key': idempotencyKey } : {}),
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
    })
    const text = await answer.text()
    if (!answer.ok) {
      const problem = Problem.safeParse(parseJson(text))
      const error = new ApiRefusedError(name, answer.status, problem.success ? problem.data : undefined)
      return { ok: false, isTransient: isTransient(answer.status), error }
    }
    return { ok: true, answer: route.answer.parse(text === '' ? undefined : parseJson(text)) as AnswerOf<Name> }
  }

  /** Every page of a list. */
  async *pages<Name extends 'listDevices' | 'listRegions' | 'listNodes' | 'listModels' | 'listVersions'>(
    name: Name,
    options: CallOptions<Name> = {},
  ): AsyncGenerator<AnswerOf<Name>['items'][number]> {
    let cursor: string | null = null
    do {
      const page: AnswerOf<Name> = await this.call(name, {
        ...options,
        query: { ...options.query, limit: 200, ...(cursor === null ? {} : { cursor }) },
      })
      yield* page.items
      cursor = page.next
    } while (cursor !== null)
  }
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
