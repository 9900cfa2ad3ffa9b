import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { giveWay } from '../processes/give-way.ts'
import { LogTail } from './log-tail.ts'
import { groupMemoryBytes, signalGroup } from './process-group.ts'
import { secretsOf } from './scrub-log.ts'
import { WorkerError } from './worker-error.ts'
import { LineReader, type WorkerLine, type WorkerOutcome } from './worker-lines.ts'

/** What the owner allows one job. */
export type WorkerLimits = {
  /** Of all its processes together, without the files that they map. */
  readonly memoryBytes: number
  readonly timeSeconds: number
  /** Without a sign of life. */
  readonly stallSeconds: number
}

export type WorkerRun = {
  readonly python: string
  /** After `-m tributary_worker --channel 3`. */
  readonly args: readonly string[]
  /** The whole environment: nothing of the agent's own is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly limits: WorkerLimits
  /** How much it gives way to others, as nice(1). @default 0 */
  readonly nice?: number
  readonly sendLog: boolean
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: { steps: number; totalSteps: number }) => void) | undefined
}

const memoryPollMillis = 500
/** Between SIGTERM and SIGKILL, and between the last line and the end of the process. */
const graceMillis = 2_000
const channel = 3

/**
 * Runs one worker to its end in a process group of its own. Whatever happens, no process of the group is left when this
 * settles. The end of the agent ends the group too: it closes the worker's stdin.
 * @returns the last line of a worker that did its work
 * @throws WorkerError, or the reason of the signal
 */
export const runWorker = async (run: WorkerRun): Promise<WorkerOutcome> => {
  run.signal?.throwIfAborted()
  const child = spawn(run.python, ['-m', 'tributary_worker', '--channel', `${channel}`, ...run.args], {
    cwd: run.cwd,
    env: run.env,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  giveWay(child.pid, run.nice ?? 0)
  const worker = new Worker(child, run)
  try {
    return await worker.outcome()
  } finally {
    await worker.end()
  }
}

class Worker {
  readonly #child: ChildProcess
  readonly #run: WorkerRun
  readonly #log = new LogTail()
  readonly #lines = new LineReader()
  readonly #ended = new AbortController()
  readonly #closed: Promise<unknown>
  readonly #settled = Promise.withResolvers<WorkerOutcome>()
  #last: WorkerLine | undefined
  #stall: NodeJS.Timeout | undefined

  constructor(child: ChildProcess, run: WorkerRun) {
    this.#child = child
    this.#run = run
    this.#closed = once(child, 'close').catch(() => {})
    // It may end before it is asked for.
    this.#settled.promise.catch(() => {})
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => this.#log.write(chunk))
    child.stdin?.on('error', () => {})
    const lines = child.stdio[channel] as Readable
    lines.on('data', (chunk: Buffer) => this.#read(chunk))
    lines.on('error', () => {})
    child.once('error', error => this.#fail('TRAINER_MISSING', `${run.python} cannot be started: ${error.message}`))
    child.once('exit', (code, signal) => void this.#exited(code, signal))
  }

  async outcome(): Promise<WorkerOutcome> {
    const { limits, signal } = this.#run
    const cancelled = (): void => this.#settled.reject(signal?.reason)
    signal?.addEventListener('abort', cancelled, { once: true })
    const time = setTimeout(
      () => this.#fail('TIME_LIMIT', `it was not done after ${limits.timeSeconds} s`),
      limits.timeSeconds * 1000,
    )
    this.#alive()
    void this.#watchMemory()
    try {
      return await this.#settled.promise
    } finally {
      clearTimeout(time)
      clearTimeout(this.#stall)
      signal?.removeEventListener('abort', cancelled)
    }
  }

  /** SIGTERM, a moment, SIGKILL: for the group, whose leader may have ended before the others. */
  async end(): Promise<void> {
    this.#ended.abort()
    const { pid } = this.#child
    if (pid !== undefined) {
      signalGroup(pid, 'SIGTERM')
      await Promise.race([this.#closed, delay(graceMillis, undefined, { ref: false })])
      signalGroup(pid, 'SIGKILL')
    }
    // Who left the group may hold the pipes open.
    await Promise.race([this.#closed, delay(graceMillis, undefined, { ref: false })])
    for (const stream of this.#child.stdio) stream?.destroy()
  }

  #read(chunk: Buffer): void {
    if (this.#ended.signal.aborted || isLast(this.#last)) return
    let lines: WorkerLine[]
    try {
      lines = this.#lines.read(chunk)
    } catch (error) {
      this.#fail('PROTOCOL', (error as Error).message)
      return
    }
    for (const line of lines) {
      this.#last = line
      this.#alive()
      if (line.kind === 'progress') this.#run.onProgress?.(line)
      if (isLast(line)) break
    }
    // Some libraries hang in their own exit; the result is there.
    if (isLast(this.#last)) setTimeout(() => this.#conclude(), graceMillis).unref()
  }

  async #exited(code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    // What it wrote last may still be in the pipe.
    await Promise.race([this.#closed, delay(graceMillis, undefined, { ref: false })])
    if (isLast(this.#last)) return this.#conclude()
    const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`
    const why = signal === 'SIGKILL' ? ', as the kernel does where memory is short' : ''
    this.#fail('CRASHED', `it ${how} without a result${why}`)
  }

  #conclude(): void {
    const line = this.#last
    if (line?.kind === 'failed') this.#fail(line.code, line.message, line.step)
    else if (isOutcome(line)) this.#settled.resolve(line)
  }

  #alive(): void {
    const { stallSeconds } = this.#run.limits
    clearTimeout(this.#stall)
    this.#stall = setTimeout(
      () => this.#fail('STALLED', `it gave no sign of life for ${stallSeconds} s`),
      stallSeconds * 1000,
    )
  }

  async #watchMemory(): Promise<void> {
    const { memoryBytes } = this.#run.limits
    const { pid } = this.#child
    while (pid !== undefined && !this.#ended.signal.aborted) {
      const used = await groupMemoryBytes(pid)
      if (used > memoryBytes) this.#fail('MEMORY_LIMIT', `it used ${used} bytes of the ${memoryBytes} allowed`)
      await delay(memoryPollMillis, undefined, { signal: this.#ended.signal, ref: false }).catch(() => {})
    }
  }

  #fail(code: WorkerError['code'], message: string, step?: number): void {
    const { sendLog, env } = this.#run
    this.#settled.reject(
      new WorkerError(code, message, { logTail: this.#log.toString(), step, sendLog, secrets: secretsOf(env) }),
    )
  }
}

const isOutcome = (line: WorkerLine | undefined): line is WorkerOutcome =>
  line?.kind === 'trained' || line?.kind === 'evaluated' || line?.kind === 'probed'

const isLast = (line: WorkerLine | undefined): boolean => isOutcome(line) || line?.kind === 'failed'
