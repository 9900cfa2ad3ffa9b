import { join } from 'node:path'
import { TributaryError } from '@tributary/contracts/errors'
import { type EvaluationDescriptor, frameworksOf, type MetricSums } from '@tributary/contracts/round'
import { inEvaluationShare } from '@tributary/learning/seeded/evaluation-share'
import type { AttemptContext } from '../attempt/attempt-context.ts'
import { othersOf } from '../attempt/objects-of-work.ts'
import { backoffMillis, pause } from '../clock.ts'
import type { DeviceDirectory, KnownDevice } from '../devices/device-directory.ts'
import { deviceLogParts, mostDeviceLogs } from '../journal/device-log.ts'
import { makeFolder, removeFolder } from '../log/durable-files.ts'
import { LogCorruptError, LogEmptyError } from '../log/log-corrupt-error.ts'
import type { LogKey } from '../log/log-key.ts'
import { isNoRoom } from '../log/no-room-error.ts'
import { openLog, type WriteAheadLog } from '../log/write-ahead-log.ts'
import { decodeEvaluationRecord, type EvaluationRecord, encodeEvaluationRecord } from './evaluation-records.ts'
import { EvaluationState } from './evaluation-state.ts'

/** With no evaluator there, the shard waits for so long (two check-ins and some) before it says so. */
const graceMillis = 12_000
const leasePollMillis = 250
const repeatEventMillis = 30_000

type Opening = { readonly descriptor: EvaluationDescriptor; readonly shard: number; readonly epoch: number }

/** One shard's part of the evaluation of one version: its evaluators' metrics, summed exactly, each evaluator once. */
export class ShardEvaluation {
  readonly descriptor: EvaluationDescriptor
  readonly shard: number
  readonly epoch: number
  readonly #folder: string
  readonly #context: AttemptContext
  #toldLogs = 0
  readonly #log: WriteAheadLog
  readonly #state: EvaluationState
  readonly #stop = new AbortController()
  readonly #pins = new DisposableStack()
  /** Appends of reports that are not durable yet, by device. */
  readonly #committing = new Map<string, Promise<void>>()
  #closing = false
  #prepared = false
  #graceEnds = 0
  #timer: Disposable | undefined
  #running: Promise<void> | undefined
  #telling: Promise<void> | undefined

  private constructor(
    folder: string,
    context: AttemptContext,
    log: WriteAheadLog,
    opening: Opening,
    state: EvaluationState,
  ) {
    this.#folder = folder
    this.#context = context
    this.#log = log
    this.#state = state
    this.descriptor = opening.descriptor
    this.shard = opening.shard
    this.epoch = opening.epoch
  }

  /** Opens an evaluation's folder, durably: a new log for `opening`, or the state of the log that is there. */
  static async open(
    folder: string,
    name: string,
    context: AttemptContext,
    key: LogKey,
    opening?: Opening,
  ): Promise<ShardEvaluation> {
    await makeFolder(folder)
    const state = new EvaluationState()
    let replayed: Opening | undefined
    const seal = key.records(`evaluation ${name}`)
    const options = { seal, onFailure: context.onDiskFailure, room: context.spoolRoom.account() }
    const log = await openLog(join(folder, 'log'), options, raw => {
      const record = decodeEvaluationRecord(raw)
      if (record.kind === 'opened') replayed ??= record
      state.apply(record)
      state.settle(record)
    })
    try {
      const first = replayed ?? opening
      if (first === undefined) throw new LogEmptyError('the log has no beginning')
      const { descriptor, shard, epoch } = first
      if (replayed === undefined) await log.append(encodeEvaluationRecord({ kind: 'opened', descriptor, shard, epoch }))
      return new ShardEvaluation(folder, context, log, first, state)
    } catch (error) {
      await log.close()
      throw error
    }
  }

  /** Begins the work, once the lease is there; again is fine. */
  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#warn('the evaluation cannot go on', error)
    })
  }

  /** Whether the device is one of the evaluators that are still awaited. */
  offers(device: KnownDevice): boolean {
    return this.isOpen && this.#prepared && this.#holdsLease() && this.#awaits(device)
  }

  get isOpen(): boolean {
    return !this.#closing && this.#state.summed === undefined
  }

  /** Resolves once the report of a device is durable; undefined where there is none. */
  reportOf(device: string): Promise<void> | undefined {
    return this.#state.hasReported(device) ? (this.#committing.get(device) ?? Promise.resolve()) : undefined
  }

  /**
   * Takes the metrics of an evaluator without a report yet; resolves when they are durable.
   * @throws TributaryError NODE_FULL
   */
  async report(device: string, metrics: MetricSums): Promise<void> {
    const durable = this.#append({ kind: 'reported', device, metrics })
    this.#committing.set(device, durable)
    try {
      await durable
    } catch (error) {
      // Of a log that failed the promise stays, so that nobody is told what is not durable.
      if (isNoRoom(error)) this.#committing.delete(device)
      this.#refuseWithoutRoom(error)
    }
    this.#committing.delete(device)
    this.evaluate()
  }

  hasFailed(device: string): boolean {
    return this.#state.hasFailed(device)
  }

  /**
   * Takes it that an evaluator cannot do its part; resolves when that is durable.
   * @param log the end of the device's own, for the operator; not durable
   * @throws TributaryError UNAVAILABLE while the lease is not held, NODE_FULL
   */
  async fail(device: string, { code, detail }: { code: string; detail: string }, log = ''): Promise<void> {
    if (!this.isOpen || this.#state.hasReported(device) || this.#state.hasFailed(device)) return
    if (!this.#holdsLease()) throw new TributaryError('UNAVAILABLE', { detail: 'The lease is being renewed.' })
    await this.#append({ kind: 'failed', device, code, detail }).catch((error: unknown) => {
      this.#refuseWithoutRoom(error)
    })
    const { task, round } = this.descriptor
    const { shard } = this
    const { journal } = this.#context
    const about = { task, round, shard, device }
    journal.report('warn', `the evaluator cannot do its part: ${detail}`, { ...about, code })
    const logged = this.#toldLogs < mostDeviceLogs ? deviceLogParts(log) : []
    if (logged.length > 0) this.#toldLogs += 1
    for (const { message, fields } of logged) journal.report('info', message, { ...about, fields })
    this.evaluate()
  }

  /** Closes when everybody who is there has reported, or at the deadline. Called when presence changes, too. */
  evaluate(): void {
    this.#timer?.[Symbol.dispose]()
    if (!this.isOpen || !this.#prepared || this.#stop.signal.aborted) return
    const { clock, directory } = this.#context
    const late = Date.parse(this.descriptor.deadline) - clock.now()
    const grace = this.#graceEnds - clock.monotonic()
    const awaited = this.#mayEvaluate(directory).some(device => this.#awaits(device))
    const done = late <= 0 || (!awaited && (this.#state.isHeardOf || grace <= 0))
    if (!done || !this.#holdsLease()) {
      const wait = done ? leasePollMillis : grace > 0 ? Math.min(grace, late) : late
      this.#timer = clock.after(wait, () => this.evaluate())
      return
    }
    this.#closing = true
    this.#telling = this.#sum().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#warn('the evaluation cannot be closed', error)
    })
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the evaluation is closed'))
    this.#timer?.[Symbol.dispose]()
    await Promise.allSettled([this.#running, this.#telling])
    this.#pins.dispose()
    await this.#log.close()
  }

  async drop(): Promise<void> {
    await this.close()
    await removeFolder(this.#folder)
  }

  #holdsLease(): boolean {
    return this.#context.leases.holds(this.shard, this.epoch)
  }

  *#mayEvaluate(directory: DeviceDirectory): Generator<KnownDevice> {
    yield* directory.ofShard(this.shard, 'evaluator')
    if ((this.descriptor.cohortShare ?? 0) > 0) yield* directory.ofShard(this.shard, 'trainer')
  }

  #awaits({ device, kind, label, revoked }: KnownDevice): boolean {
    if (revoked || this.#state.hasReported(device) || this.#state.hasFailed(device)) return false
    const { dataset, weights, trainer, cohortShare = 0 } = this.descriptor
    const capabilities = this.#context.presence.capabilities(device)
    if (!frameworksOf(trainer).some(framework => capabilities?.frameworks.has(framework))) return false
    const held = capabilities?.datasets.get(dataset)
    if (held === undefined || kind === 'evaluator') return held !== undefined
    // What a trainer trains on says nothing about the version.
    return held.heldOut && inEvaluationShare(weights.sha256, cohortShare, label)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    if (this.#state.summed !== undefined) return this.#tellCentral(signal)
    const { clock, cache, directory, notify } = this.#context
    const { weights, manifest } = this.descriptor
    for (let tries = 0; clock.now() < Date.parse(this.descriptor.deadline); tries += 1) {
      try {
        for (const object of [weights, manifest, ...othersOf(this.descriptor)]) {
          this.#pins.use(await cache.acquire(object, signal))
        }
        break
      } catch (error) {
        signal.throwIfAborted()
        this.#warn('the model to evaluate cannot be had', error)
        await pause(clock, backoffMillis(tries, 200, 5000), signal)
      }
    }
    this.#graceEnds = clock.monotonic() + graceMillis
    this.#prepared = true
    const evaluators = [...this.#mayEvaluate(directory)].filter(device => this.#awaits(device))
    notify(
      evaluators.map(({ device }) => device),
      { kind: 'work' },
    )
    this.evaluate()
  }

  async #sum(): Promise<void> {
    const { evaluation, shards } = this.descriptor
    const region = shards.find(({ shard }) => shard === this.shard)?.region
    if (region === undefined) throw new LogCorruptError('the descriptor does not name the shard')
    // What is on its way to the log counts once it is there.
    await Promise.allSettled(this.#committing.values())
    const { metrics, reports: evaluators } = this.#state
    const node = this.#context.identity.id
    const { shard, epoch } = this
    const event = { evaluation, region, shard, epoch, node, evaluators, metrics }
    for (let tries = 0; ; tries += 1) {
      try {
        await this.#append({ kind: 'summed', event })
        break
      } catch (error) {
        if (!isNoRoom(error)) throw error
        this.#context.room.noteFull(error)
        await pause(this.#context.clock, backoffMillis(tries, 1000, 5000), this.#stop.signal)
      }
    }
    await this.#tellCentral(this.#stop.signal)
  }

  async #tellCentral(signal: AbortSignal): Promise<void> {
    const event = this.#state.summed
    if (event === undefined) return
    for (;;) {
      while (!this.#holdsLease()) await pause(this.#context.clock, leasePollMillis, signal)
      await this.#context.publish('evaluation.summed', event, signal)
      this.#context.statusChanged()
      await pause(this.#context.clock, repeatEventMillis, signal)
    }
  }

  async #append(record: EvaluationRecord): Promise<void> {
    this.#state.apply(record)
    try {
      await this.#log.append(encodeEvaluationRecord(record))
    } catch (error) {
      // It was not written: what it did is undone.
      if (isNoRoom(error)) this.#state.revert(record)
      throw error
    }
    this.#state.settle(record)
  }

  #refuseWithoutRoom(error: unknown): never {
    if (!isNoRoom(error)) throw error
    this.#context.room.noteFull(error)
    throw new TributaryError('NODE_FULL', { cause: error })
  }

  #warn(message: string, error: unknown): void {
    const { task, round } = this.descriptor
    this.#context.journal.report('warn', `${message}: ${(error as Error).message}`, { task, round, shard: this.shard })
  }
}
