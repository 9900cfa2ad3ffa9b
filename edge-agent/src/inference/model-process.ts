import { ChildLink } from '../processes/child-link.ts'
import type { InferenceTensor } from './tensor.ts'
import type { ModelDescription, ModelFailureCode, ModelFiles, ModelReport, ModelRequest } from './worker/protocol.ts'

export type ModelProcessOptions = {
  /** The file that the process runs, for bundles that move it. @default model-worker.ts beside this file */
  readonly workerUrl?: URL | undefined
  /** Threads of one run. */
  readonly threads: number
  /** Most rows that are joined. */
  readonly mostRows: number
  /** A process that does not answer for so long is killed. */
  readonly stallMillis: number
  /** Loading a model takes longer than running it. @default 120000 */
  readonly openMillis?: number
}

/** What the process of a version could not do. CRASHED: it ended, or was killed because it did not answer. */
export class ModelProcessError extends Error {
  override readonly name = 'ModelProcessError'
  readonly code: ModelFailureCode | 'CRASHED'

  constructor(code: ModelFailureCode | 'CRASHED', message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

type Ran = Extract<ModelReport, { kind: 'ran' }>
type Opened = Extract<ModelReport, { kind: 'opened' }>
type Waiting = { readonly settle: (outcome: ModelReport | Error) => void; readonly watchdog: NodeJS.Timeout }

/** Where the program is once esbuild has put everything beside the agent. */
const defaultUrl = new URL(
  import.meta.url.endsWith('.ts') ? './model-worker.ts' : './model-worker.mjs',
  import.meta.url,
)

/** One version in a process of its own, which alone loads the runtime. Whoever opens it disposes of it. */
export class ModelProcess implements AsyncDisposable {
  readonly #link: ChildLink<ModelRequest, ModelReport>
  readonly #stallMillis: number
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended = Promise.withResolvers<void>()
  #lastId = 0
  #opened: Opened | undefined

  private constructor({ workerUrl = defaultUrl, stallMillis }: ModelProcessOptions) {
    this.#stallMillis = stallMillis
    this.#link = new ChildLink(workerUrl, {
      onReport: report => this.#settle(report.id, report),
      onEnd: cause => {
        for (const id of [...this.#waiting.keys()]) {
          this.#settle(
            id,
            new ModelProcessError('CRASHED', `The process of the model ended: ${cause.message}.`, { cause }),
          )
        }
        this.#ended.resolve()
      },
    })
    this.#link.hold(false)
  }

  /** Starts the process and loads the files. Rejects with ModelProcessError or the signal's reason; nothing is left behind then. */
  static async open(files: ModelFiles, options: ModelProcessOptions, signal?: AbortSignal): Promise<ModelProcess> {
    signal?.throwIfAborted()
    const opening = new ModelProcess(options)
    const kill = (): void => opening.#link.kill()
    signal?.addEventListener('abort', kill, { once: true })
    try {
      const { threads, mostRows, openMillis = 120_000 } = options
      const report = await opening.#ask(id => ({ kind: 'open', id, files, threads, mostRows }), openMillis)
      if (report.kind !== 'opened') throw unexpected(report)
      opening.#opened = report
      return opening
    } catch (error) {
      await opening[Symbol.asyncDispose]()
      signal?.throwIfAborted()
      throw error
    } finally {
      signal?.removeEventListener('abort', kill)
    }
  }

  get open(): boolean {
    return this.#link.open
  }

  get pid(): number | undefined {
    return this.#link.pid
  }

  /** Resolves when the process has ended, for whatever reason. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  get description(): ModelDescription {
    return (this.#opened as Opened).description
  }

  /** What came of the sample that was run when the model was loaded. */
  get sample(): Opened['sample'] {
    return (this.#opened as Opened).sample
  }

  /**
   * Runs requests together. @param pad whether a single row is to be run twice
   * @throws ModelProcessError RUN_FAILED, CRASHED
   */
  async run(parts: readonly (readonly InferenceTensor[])[], outputs: readonly string[], pad = false): Promise<Ran> {
    const report = await this.#ask(id => ({ kind: 'run', id, parts, outputs, pad }))
    if (report.kind === 'ran') return report
    throw unexpected(report)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]()
  }

  async #ask(request: (id: number) => ModelRequest, stallMillis = this.#stallMillis): Promise<ModelReport> {
    if (!this.open) throw new ModelProcessError('CRASHED', 'The process of the model is gone.')
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<ModelReport>()
    const watchdog = setTimeout(() => this.#link.kill(), stallMillis)
    const settle = (outcome: ModelReport | Error): void =>
      outcome instanceof Error ? reject(outcome) : resolve(outcome)
    this.#waiting.set(id, { settle, watchdog })
    this.#link.hold(true)
    this.#link.post(request(id))
    const report = await promise
    if (report.kind === 'failed') throw new ModelProcessError(report.code, report.message)
    return report
  }

  #settle(id: number, outcome: ModelReport | Error): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    clearTimeout(waiting.watchdog)
    // Only a run keeps the agent alive.
    if (this.#waiting.size === 0) this.#link.hold(false)
    waiting.settle(outcome)
  }
}

const unexpected = (report: ModelReport): ModelProcessError =>
  new ModelProcessError(
    'CRASHED',
    `The process of the model answered with "${report.kind}". Check that its file fits this build.`,
  )
