import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FunctionSpec } from '@tributary/contracts/functions'
import { describeExit, type ProcessExit } from '../processes/process-errors.ts'
import { signalGroup } from '../processes/process-group.ts'
import type { Watchdog } from '../processes/watchdog.ts'
import type { FunctionLog } from './function-log.ts'
import { functionArn, instanceEnvironment } from './instance-environment.ts'
import { type InvocationResult, platformError } from './invocation.ts'
import { memoryUse } from './memory-use.ts'
import type { RuntimeApi, RuntimeClient, RuntimeWork } from './runtime-api.ts'

export interface InstanceOptions {
  readonly spec: FunctionSpec
  /** Folder with `index.mjs`. */
  readonly taskRoot: string
  /** The function's own environment variables. */
  readonly environment: Readonly<Record<string, string>>
  readonly region: string
  /** Folder below which the instance gets its own temporary folder. */
  readonly instancesFolder: string
  readonly prewarmed: boolean
  readonly initSeconds: number
  readonly runtimeApi: RuntimeApi
  readonly watchdog: Watchdog
  readonly log: FunctionLog
  /** It waits for work, for the first time or after an answer. */
  readonly onWaiting: (instance: Instance) => void
  /** Its process is gone. `initFailure`: it never got as far as to wait for work. */
  readonly onGone: (instance: Instance, initFailure: InvocationResult | undefined) => void
}

interface Running {
  readonly requestId: string
  readonly startedAt: number
  readonly settle: (result: InvocationResult) => void
  readonly timers: readonly NodeJS.Timeout[]
}

const bootstrap = fileURLToPath(new URL('./instance-bootstrap.js', import.meta.url))
const memoryCheckMs = 250
/** Between an answer and the next wait for work there is nothing left to do but to send the one and ask for the other. */
const returnMs = 2000

/** One execution environment of a function: an operating-system process that handles one invocation at a time. */
export class Instance {
  readonly id = randomUUID().replaceAll('-', '')
  /** Resolves when the process has ended and its folder is gone. */
  readonly gone: Promise<void>
  readonly #options: InstanceOptions
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #startedAt = performance.now()
  readonly #initTimer: NodeJS.Timeout
  #give: ((work: RuntimeWork) => void) | undefined
  #running: Running | undefined
  #returnTimer: NodeJS.Timeout | undefined
  #frozen = false
  #initialised = false
  #initFailure: InvocationResult | undefined
  #initMs = 0
  #served = 0
  /** Why the platform killed it. */
  #verdict: { errorType: string; message: string } | undefined

  constructor(options: InstanceOptions) {
    this.#options = options
    this.#folder = join(options.instancesFolder, this.id)
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const registration = options.runtimeApi.register(this.#client())
    this.#child = this.#spawn(registration.address)
    this.#initTimer = setTimeout(
      () => this.#end('Sandbox.Timedout', `initialisation not done after ${options.initSeconds} s`),
      options.initSeconds * 1000,
    )
    const { promise, resolve } = Promise.withResolvers<ProcessExit>()
    this.#child.once('error', error => {
      options.log.line(`INIT_ERROR ${this.id} ${error.message}`)
      resolve({ code: null, signal: null })
    })
    this.#child.once('exit', (code, signal) => resolve({ code, signal }))
    this.gone = promise.then(async exit => {
      registration[Symbol.dispose]()
      await this.#ended(exit)
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** It can be invoked. */
  get waiting(): boolean {
    return this.#give !== undefined
  }

  /**
   * Thaws the instance and hands it one event; it must be waiting. Never rejects: a crash, a time-out or too much memory is
   * an answer too.
   */
  invoke(requestId: string, payload: Buffer): Promise<InvocationResult> {
    const give = this.#give
    if (!give || this.#running) throw new Error(`instance ${this.id} does not wait for work`)
    const { spec, region } = this.#options
    const { promise, resolve } = Promise.withResolvers<InvocationResult>()
    const limit = setTimeout(
      () => this.#end('Sandbox.Timedout', `Task timed out after ${spec.timeoutSeconds.toFixed(2)} seconds`),
      spec.timeoutSeconds * 1000,
    )
    const memory = setInterval(() => this.#checkMemory(), memoryCheckMs)
    this.#give = undefined
    this.#running = { requestId, startedAt: performance.now(), settle: resolve, timers: [limit, memory] }
    this.#thaw()
    const deadline = Date.now() + spec.timeoutSeconds * 1000
    give({ requestId, payload, deadline, functionArn: functionArn(region, spec.name) })
    return promise
  }

  /** Stops its clock until the next invocation, as Lambda does between two of them. */
  freeze(): void {
    if (this.pid === undefined || this.#frozen) return
    this.#frozen = signalGroup(this.pid, 'SIGSTOP')
  }

  /** Ends the process and all that it started, frozen or not. Lambda gives no warning either. */
  kill(): void {
    if (this.pid !== undefined) signalGroup(this.pid, 'SIGKILL')
  }

  #thaw(): void {
    if (this.pid !== undefined && this.#frozen) signalGroup(this.pid, 'SIGCONT')
    this.#frozen = false
  }

  #spawn(runtimeApi: string): ChildProcess {
    const { spec, taskRoot, environment, region, prewarmed, log, watchdog } = this.#options
    const child = spawn(
      process.execPath,
      [
        // The shares that AWS's own Node runtime takes.
        `--max-old-space-size=${Math.floor(spec.memoryMegabytes * 0.9)}`,
        `--max-semi-space-size=${Math.max(1, Math.floor(spec.memoryMegabytes * 0.05))}`,
        bootstrap,
      ],
      {
        cwd: taskRoot,
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: instanceEnvironment({
          spec,
          instanceId: this.id,
          configured: environment,
          region,
          taskRoot,
          folder: this.#folder,
          runtimeApi,
          prewarmed,
        }),
      },
    )
    // A frozen process cannot notice that the runner is gone; the watchdog can.
    if (child.pid !== undefined) watchdog.guard(child.pid, 'SIGKILL')
    if (child.stdout) log.follow(child.stdout)
    if (child.stderr) log.follow(child.stderr)
    return child
  }

  #client(): RuntimeClient {
    return {
      onNext: give => {
        this.#give = give
        clearTimeout(this.#returnTimer)
        if (!this.#initialised) {
          this.#initialised = true
          this.#initMs = performance.now() - this.#startedAt
          clearTimeout(this.#initTimer)
        }
        this.#options.onWaiting(this)
      },
      onAnswer: (requestId, payload, errorType) => {
        if (this.#running?.requestId !== requestId) return
        this.#settle({ requestId, payload, ...(errorType === undefined ? {} : { errorType }) })
      },
      onInitError: (payload, errorType) => {
        this.#initFailure = { requestId: '', payload, errorType }
      },
    }
  }

  #settle(result: InvocationResult): void {
    const running = this.#running
    if (!running) return
    this.#running = undefined
    for (const timer of running.timers) clearTimeout(timer)
    this.#returnTimer = setTimeout(() => this.kill(), returnMs)
    const ms = performance.now() - running.startedAt
    const use = this.pid === undefined ? undefined : memoryUse(this.pid)
    this.#options.log.line(
      [
        `REPORT RequestId: ${running.requestId}`,
        `Duration: ${ms.toFixed(2)} ms`,
        `Memory Size: ${this.#options.spec.memoryMegabytes} MB`,
        ...(use ? [`Max Memory Used: ${Math.ceil(use.mostMegabytes)} MB`] : []),
        ...(this.#served++ === 0 ? [`Init Duration: ${this.#initMs.toFixed(2)} ms`] : []),
        ...(result.errorType === undefined ? [] : [`Status: error`, `Error Type: ${result.errorType}`]),
      ].join('\t'),
    )
    running.settle(result)
  }

  #checkMemory(): void {
    const { memoryMegabytes } = this.#options.spec
    const used = this.pid === undefined ? undefined : memoryUse(this.pid)
    if (!used || used.nowMegabytes <= memoryMegabytes) return
    this.#end(
      'Runtime.OutOfMemory',
      `Runtime exited with error: signal: killed (${Math.ceil(used.nowMegabytes)} MB used of ${memoryMegabytes} MB)`,
    )
  }

  #end(errorType: string, message: string): void {
    this.#verdict ??= { errorType, message }
    this.kill()
  }

  async #ended(exit: ProcessExit): Promise<void> {
    clearTimeout(this.#initTimer)
    this.kill()
    if (this.pid !== undefined) this.#options.watchdog.release(this.pid)
    const reason = exit.signal ? `signal: ${exit.signal}` : `exit status ${exit.code ?? 'unknown'}`
    const verdict = this.#verdict ?? {
      errorType: 'Runtime.ExitError',
      message: `Runtime exited with error: ${reason}`,
    }
    if (this.#running) {
      this.#settle(platformError(this.#running.requestId, verdict.errorType, verdict.message))
    }
    clearTimeout(this.#returnTimer)
    let initFailure: InvocationResult | undefined
    if (!this.#initialised) {
      initFailure = this.#initFailure ?? platformError(this.id, verdict.errorType, verdict.message)
      this.#options.log.line(
        `INIT_REPORT ${this.id} Status: error Error Type: ${initFailure.errorType} (${describeExit(exit)})`,
      )
    }
    this.#options.onGone(this, initFailure)
    await rm(this.#folder, { recursive: true, force: true }).catch(() => undefined)
  }
}
