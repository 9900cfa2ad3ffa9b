import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { describeExit, type ProcessExit, ProcessStartError } from './process-errors.ts'
import { groupEnded, signalGroup } from './process-group.ts'
import { ProcessLog } from './process-log.ts'
import { type Readiness, untilReady } from './ready.ts'
import type { Watchdog } from './watchdog.ts'

export interface OwnedProcessOptions {
  /** For messages: `Postgres`, `agent device-3`. */
  readonly name: string
  readonly command: string
  readonly args?: readonly string[]
  /** The whole environment of the child; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  readonly logFile: string
  readonly ready: Readiness
  /** @default 30 */
  readonly readyDeadlineSeconds?: number
  /** Signal that asks the process to end. @default 'SIGTERM' */
  readonly stopSignal?: NodeJS.Signals
  /** Time between the stop signal and SIGKILL for the whole group. @default 8 */
  readonly graceSeconds?: number
  /** `on-failure`: started again after an exit that nobody asked for and whose code is not 0. @default 'never' */
  readonly restart?: 'never' | 'on-failure'
  /** Told of every exit that nobody asked for, before a restart. */
  readonly onUnexpectedExit?: (exit: ProcessExit, message: string) => void
  /** Ends the process group even when the supervisor is killed. */
  readonly watchdog?: Watchdog
  /** Aborting stops a start that is under way. */
  readonly signal?: AbortSignal
}

/** A child process that belongs to the supervisor; disposing it stops it. */
export interface OwnedProcess extends AsyncDisposable {
  readonly name: string
  readonly logFile: string
  /** Of the present run; undefined between two runs and after the end. */
  readonly pid: number | undefined
  /** How often it has been started. */
  readonly starts: number
  /** Resolves when it has ended and is not started again. */
  readonly ended: Promise<ProcessExit>
  logTail(): string
  /** Sends a signal to the whole group without marking the end as wanted. */
  sendSignal(signal: NodeJS.Signals): void
  /** Stop signal, grace time, SIGKILL, for the whole group. Idempotent. */
  stop(): Promise<void>
}

const firstBackoffMs = 250
const longestBackoffMs = 15_000
const calmSeconds = 30

/**
 * Starts a child in a process group of its own, with a pipe as stdin whose closing tells our own Node children to end
 * (`end-with-parent.ts`), and resolves once it is ready.
 *
 * @throws ProcessStartError when it ends before it is ready or is not ready in time; nothing is left running then.
 */
export async function spawnOwned(options: OwnedProcessOptions): Promise<OwnedProcess> {
  const owned = new SupervisedProcess(options)
  try {
    await owned.start()
  } catch (error) {
    await owned.stop()
    throw error
  }
  return owned
}

class SupervisedProcess implements OwnedProcess {
  readonly ended: Promise<ProcessExit>
  starts = 0
  readonly #options: OwnedProcessOptions
  readonly #log: ProcessLog
  readonly #settleEnded: (exit: ProcessExit) => void
  readonly #stopping = new AbortController()
  #child: ChildProcess | undefined
  #exit: Promise<ProcessExit> | undefined
  #lastExit: ProcessExit = { code: null, signal: null }
  #stopped: Promise<void> | undefined

  constructor(options: OwnedProcessOptions) {
    this.#options = options
    this.#log = new ProcessLog(options.logFile)
    const { promise, resolve } = Promise.withResolvers<ProcessExit>()
    this.ended = promise
    this.#settleEnded = resolve
  }

  get name(): string {
    return this.#options.name
  }

  get logFile(): string {
    return this.#log.file
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  logTail(): string {
    return this.#log.tail()
  }

  async start(): Promise<void> {
    const exit = this.#spawn()
    const deadlineSeconds = this.#options.readyDeadlineSeconds ?? 30
    const waiting = new AbortController()
    const timer = setTimeout(
      () => waiting.abort(new Error(`not ready after ${deadlineSeconds} s`)),
      deadlineSeconds * 1000,
    )
    const interrupted = () => waiting.abort(new Error('the start was interrupted'))
    for (const signal of [this.#options.signal, this.#stopping.signal]) signal?.addEventListener('abort', interrupted)
    if (this.#options.signal?.aborted || this.#stopping.signal.aborted) interrupted()
    exit.then(
      result => waiting.abort(new Error(`it ended with ${describeExit(result)}`)),
      error => waiting.abort(error),
    )
    try {
      await untilReady(this.#options.ready, this.#log, waiting.signal)
    } catch (error) {
      throw new ProcessStartError(this.name, (error as Error).message, this.#log, { cause: error })
    } finally {
      clearTimeout(timer)
      for (const signal of [this.#options.signal, this.#stopping.signal])
        signal?.removeEventListener('abort', interrupted)
    }
    void this.#watch(exit)
  }

  sendSignal(signal: NodeJS.Signals): void {
    if (this.#child?.pid !== undefined) signalGroup(this.#child.pid, signal)
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #spawn(): Promise<ProcessExit> {
    const { command, args = [], env, cwd, uid, gid, watchdog } = this.#options
    const child = spawn(command, args, {
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    })
    this.starts += 1
    if (child.pid !== undefined) watchdog?.guard(child.pid, this.#options.stopSignal ?? 'SIGTERM')
    child.stdin?.on('error', () => undefined)
    child.stdout?.on('data', (chunk: Buffer) => this.#log.write(chunk))
    child.stderr?.on('data', (chunk: Buffer) => this.#log.write(chunk))
    this.#child = child
    const { promise, resolve, reject } = Promise.withResolvers<ProcessExit>()
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve({ code, signal }))
    this.#exit = promise.then(
      async exit => {
        await this.#endGroup(child)
        this.#lastExit = exit
        return exit
      },
      error => {
        this.#child = undefined
        throw error
      },
    )
    this.#exit.catch(() => undefined)
    return this.#exit
  }

  /** The leader is gone; whatever it left in its group has no owner any more. */
  async #endGroup(child: ChildProcess): Promise<void> {
    if (child.pid !== undefined) {
      if (signalGroup(child.pid, 'SIGKILL')) await groupEnded(child.pid, 250)
      this.#options.watchdog?.release(child.pid)
    }
    child.stdin?.destroy()
    if (this.#child === child) this.#child = undefined
  }

  async #watch(firstExit: Promise<ProcessExit>): Promise<void> {
    let exit = await firstExit
    let backoffMs = firstBackoffMs
    while (!this.#stopping.signal.aborted) {
      const tail = this.#log.tail()
      this.#options.onUnexpectedExit?.(
        exit,
        `${this.name} ended with ${describeExit(exit)}; its log ${this.logFile} ends with:\n${tail}`,
      )
      if (this.#options.restart !== 'on-failure' || exit.code === 0) break
      await delay(backoffMs * (0.75 + Math.random() / 2), undefined, { signal: this.#stopping.signal }).catch(
        () => undefined,
      )
      if (this.#stopping.signal.aborted) break
      const startedAt = Date.now()
      exit = await this.#spawn().catch(() => ({ code: null, signal: null }))
      const calm = Date.now() - startedAt > calmSeconds * 1000
      backoffMs = calm ? firstBackoffMs : Math.min(backoffMs * 2, longestBackoffMs)
    }
    if (!this.#stopping.signal.aborted) this.#finish()
  }

  async #stop(): Promise<void> {
    this.#stopping.abort()
    const child = this.#child
    if (child?.pid !== undefined && this.#exit) {
      signalGroup(child.pid, this.#options.stopSignal ?? 'SIGTERM')
      child.stdin?.end()
      const pid = child.pid
      const killer = setTimeout(() => signalGroup(pid, 'SIGKILL'), (this.#options.graceSeconds ?? 8) * 1000)
      await this.#exit.catch(() => undefined)
      clearTimeout(killer)
    }
    this.#finish()
  }

  #finish(): void {
    this.#log.close()
    this.#settleEnded(this.#lastExit)
  }
}
