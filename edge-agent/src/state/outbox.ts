import { open } from 'node:fs/promises'
import { MetricSums } from '@tributary/contracts/round'
import * as z from 'zod'
import { writeAtomically } from './atomic-file.ts'

/** Most of each kind that wait, oldest out first; a device has two jobs at a time. */
const capacity = 16
const maxFileBytes = 4 * 2 ** 20

const Failure = z.object({
  token: z.string().max(16_384),
  code: z.string().max(64),
  detail: z.string().max(2000),
  logTail: z.string().max(8192).default(''),
})
const integer = z
  .string()
  .regex(/^-?\d{1,30}$/)
  .transform(BigInt)
const Findings = z.object({
  evaluation: z.string().max(64),
  examples: integer,
  sums: MetricSums,
  seconds: z.number().nonnegative(),
})
const Page = z.object({
  failures: z.array(Failure).max(capacity),
  // Findings in the form of another version of the agent are found again.
  evaluations: z
    .array(z.unknown())
    .max(capacity)
    .transform(all => all.flatMap(each => Findings.safeParse(each).data ?? [])),
})

/** Work that ended without a result. */
export type WaitingFailure = z.output<typeof Failure>

/** What was found by an evaluation, as integers that add up over devices. */
export type EvaluationFindings = {
  readonly examples: bigint
  /** By name, in decimal: docs/evaluation.md. */
  readonly sums: MetricSums
  readonly seconds: number
}

/**
 * What the node is still to be told beside updates, in `<state>/outbox.json`: failures, and findings of evaluations. It outlives the agent, so
 * that an hour of work without a connection is not done twice. Bounded; a file that is damaged is an empty outbox.
 */
export class Outbox implements AsyncDisposable {
  readonly #file: string
  readonly #failures = new Map<string, WaitingFailure>()
  readonly #findings = new Map<string, EvaluationFindings>()
  #writing: Promise<void> = Promise.resolve()
  #dirty = false

  private constructor(file: string, page: z.output<typeof Page>) {
    this.#file = file
    for (const failure of page.failures) this.#failures.set(failure.token, failure)
    for (const { evaluation, ...findings } of page.evaluations) this.#findings.set(evaluation, findings)
  }

  static async open(file: string): Promise<Outbox> {
    return new Outbox(file, (await readPage(file)) ?? { failures: [], evaluations: [] })
  }

  get failures(): readonly WaitingFailure[] {
    return [...this.#failures.values()]
  }

  /** One for each token: the first stands. */
  addFailure(failure: z.input<typeof Failure>): void {
    if (this.#failures.has(failure.token)) return
    put(this.#failures, failure.token, { logTail: '', ...failure })
    this.#write()
  }

  /** The node has these. */
  removeFailures(tokens: readonly string[]): void {
    const removed = tokens.filter(token => this.#failures.delete(token))
    if (removed.length > 0) this.#write()
  }

  findings(evaluation: string): EvaluationFindings | undefined {
    return this.#findings.get(evaluation)
  }

  addFindings(evaluation: string, findings: EvaluationFindings): void {
    put(this.#findings, evaluation, findings)
    this.#write()
  }

  /** The node has them, or wants them no more. */
  removeFindings(evaluation: string): void {
    if (this.#findings.delete(evaluation)) this.#write()
  }

  /** Resolves when everything is on disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
  }

  // What changes while a write is on its way is in the next. A full disk costs what a crash would: never the agent.
  #write(): void {
    if (this.#dirty) return
    this.#dirty = true
    this.#writing = this.#writing.then(() => {
      this.#dirty = false
      const evaluations = [...this.#findings].map(([evaluation, findings]) => ({ evaluation, ...findings }))
      const text = JSON.stringify({ failures: this.failures, evaluations }, (_, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      )
      return writeAtomically(this.#file, text).catch(() => {})
    })
  }
}

const put = <Value>(map: Map<string, Value>, key: string, value: Value): void => {
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > capacity && oldest !== undefined) map.delete(oldest)
}

const readPage = async (file: string): Promise<z.output<typeof Page> | undefined> => {
  try {
    await using handle = await open(file, 'r')
    if ((await handle.stat()).size > maxFileBytes) return undefined
    return Page.parse(JSON.parse(await handle.readFile('utf8')))
  } catch {
    return undefined
  }
}
