import { join } from 'node:path'
import { TributaryError } from '@tributary/contracts/errors'
import type { AttemptRef } from '@tributary/contracts/ids'
import type { ShardProgress } from '@tributary/contracts/node-status'
import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import { backoffMillis, pause } from '../clock.ts'
import type { KnownDevice } from '../devices/device-directory.ts'
import { makeFolder, removeFolder } from '../log/durable-files.ts'
import { LogCorruptError } from '../log/replay.ts'
import { UpdateSpool } from '../log/update-spool.ts'
import { openLog, type WriteAheadLog } from '../log/write-ahead-log.ts'
import type { AttemptContext } from './attempt-context.ts'
import {
  type AcceptedUpdate,
  type AttemptRecord,
  decodeAttemptRecord,
  encodeAttemptRecord,
  type FailedDevice,
  type InvalidUpdate,
} from './attempt-records.ts'
import { closingReason, nextMoment, selectionIsOver } from './closing-rule.ts'
import { isEligible, selectCohort } from './eligibility.ts'
import { type Fault, participationLines } from './participation-list.ts'
import { type PreparedAttempt, prepareAttempt } from './prepare-attempt.ts'
import { storeShardResult } from './shard-result.ts'
import { type Report, ShardState } from './shard-state.ts'
import { addSpooledUpdate } from './update-reading.ts'

/** How long a node waits for its lease to be renewed before it looks again. */
const leasePollMillis = 250
const repeatEventMillis = 30_000
const triesBeforeFailure = 5

/** One shard's part of one attempt: from the descriptor to the event that its sum is stored, through crashes. */
export class ShardAttempt {
  readonly state: ShardState
  readonly spool: UpdateSpool
  readonly #folder: string
  readonly #context: AttemptContext
  readonly #log: WriteAheadLog
  readonly #stop = new AbortController()
  readonly #faults = new Map<string, Fault>()
  readonly #late = new Set<string>()
  /** Appends that are not durable yet, by device. */
  readonly #committing = new Map<string, Promise<void>>()
  readonly #adding = new Set<Promise<void>>()
  #prepared: PreparedAttempt | undefined
  #timer: Disposable | undefined
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined

  private constructor(
    folder: string,
    context: AttemptContext,
    log: WriteAheadLog,
    spool: UpdateSpool,
    state: ShardState,
  ) {
    this.#folder = folder
    this.#context = context
    this.#log = log
    this.spool = spool
    this.state = state
  }

  /** Opens an attempt's folder, durably: a new log for `opening`, or the state of the log that is there. */
  static async open(
    folder: string,
    context: AttemptContext,
    opening?: { descriptor: RoundDescriptor; plan: ShardPlan },
  ): Promise<ShardAttempt> {
    await makeFolder(folder)
    const { log, replay } = await openLog(join(folder, 'log'), context.onDiskFailure)
    try {
      const records = replay.records.map(decodeAttemptRecord)
      const first = records[0]
      if (first === undefined && opening === undefined) throw new LogCorruptError('the log has no beginning')
      const { descriptor, plan } = first?.kind === 'opened' ? first : (opening ?? fail('the log has no beginning'))
      const state = new ShardState(descriptor, plan)
      for (const record of records) state.apply(record)
      if (first === undefined) await log.append(encodeAttemptRecord({ kind: 'opened', descriptor, plan }))
      const spool = await UpdateSpool.open(join(folder, 'spool'), context.spoolRoom)
      return new ShardAttempt(folder, context, log, spool, state)
    } catch (error) {
      await log.close()
      throw error
    }
  }

  get ref(): AttemptRef {
    const { task, round, attempt } = this.state.descriptor
    return { task, round, attempt }
  }

  get manifest() {
    return this.#prepared?.manifest
  }

  /** Most bytes of an update, known once the manifest is at hand. */
  get maxUpdateBytes(): number | undefined {
    return this.#prepared?.maxUpdateBytes
  }

  get progress(): ShardProgress {
    const { plan, summed, closing, selected, accepted, empty, invalid, failed } = this.state
    const open = selectionIsOver(this.state, this.#context.clock.now()) ? 'collecting' : 'selecting'
    return {
      ...this.ref,
      shard: plan.shard,
      epoch: plan.epoch,
      state: summed ? 'summed' : closing ? 'closing' : open,
      selected: selected.size,
      accepted,
      refused: empty + invalid + failed,
    }
  }

  /** Whether updates can be accepted now. */
  get isCollecting(): boolean {
    return this.#prepared !== undefined && this.state.closing === undefined && this.#holdsLease()
  }

  /** Begins the work, once the lease is there; again is fine. */
  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#report('error', 'the shard cannot go on', error)
    })
  }

  /** Whether the device has work here. A newcomer is selected while selection lasts. */
  async offers(device: KnownDevice): Promise<boolean> {
    if (!this.isCollecting) return false
    if (!this.state.selected.has(device.device)) {
      const { clock, presence } = this.#context
      if (selectionIsOver(this.state, clock.now())) return false
      if (!isEligible(this.state.descriptor, device, presence.capabilities(device.device))) return false
      this.#select([device])
    }
    await this.#committing.get(device.device)
    return this.state.awaits(device.device) && this.isCollecting
  }

  /** How the device's part ended, once that is durable. */
  async reportOf(device: string): Promise<Report | undefined> {
    const report = this.state.reports.get(device)
    if (report !== undefined) await this.#committing.get(device)
    return report
  }

  /** Logs an update that passed every check; resolves when it is durable and part of the sum. */
  async accept(update: AcceptedUpdate): Promise<void> {
    await this.#commit(update.device, { kind: 'accepted', ...update })
    const { metrics } = this.#context
    metrics.updates.add({ verdict: update.weight > 0 ? 'accepted' : 'empty' })
    if (update.weight > 0) {
      const adding = this.#add(update)
      this.#adding.add(adding)
      // A durable update that does not get into the sum would break the promise of its receipt.
      adding.catch(this.#context.onDiskFailure).finally(() => this.#adding.delete(adding))
      await adding
    }
    this.#evaluate()
  }

  /** Logs a refusal that ends the device's part. */
  async refuse(update: InvalidUpdate): Promise<void> {
    await this.#commit(update.device, { kind: 'invalid', ...update })
    this.#context.metrics.updates.add({ verdict: 'invalid' })
    await this.spool.remove(update.device)
    const { device, code, tensor, detail } = update
    this.#context.journal.report('warn', `update refused: ${detail}`, {
      ...this.ref,
      shard: this.state.plan.shard,
      device,
      code,
      ...(tensor === '' ? {} : { fields: { tensor: tensor.slice(0, 500) } }),
    })
    this.#evaluate()
  }

  /**
   * Logs that a device cannot do its part, which ends it; resolves when that is durable. Of no effect where the device is not
   * awaited.
   * @throws TributaryError UNAVAILABLE while the lease is not held
   */
  async fail(failure: FailedDevice): Promise<void> {
    const { device, code, detail } = failure
    await this.reportOf(device)
    if (this.state.closing !== undefined || !this.state.awaits(device)) return
    if (!this.#holdsLease()) throw new TributaryError('UNAVAILABLE', { detail: 'The lease is being renewed.' })
    await this.#commit(device, { kind: 'failed', ...failure })
    this.#context.metrics.updates.add({ verdict: 'failed' })
    this.#context.journal.report('warn', `the device cannot do its part: ${detail}`, {
      ...this.ref,
      shard: this.state.plan.shard,
      device,
      code,
    })
    this.#evaluate()
  }

  /** Remembers a refusal after which the device may send again. */
  noteFault(device: string, fault: Fault): void {
    if (!this.state.selected.has(device)) return
    this.#faults.set(device, { code: fault.code, detail: fault.detail.slice(0, 500) })
    this.#context.journal.report('warn', `upload refused: ${fault.detail}`, {
      ...this.ref,
      shard: this.state.plan.shard,
      device,
      code: fault.code,
    })
  }

  /** Remembers a selected device that sent only after the shard had closed, for the participation list. */
  noteLate(device: string): void {
    if (this.state.closing !== undefined && this.state.awaits(device)) this.#late.add(device)
  }

  /** Ends the work and keeps what is on disk, for a restart. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the attempt is closed'))
    this.#timer?.[Symbol.dispose]()
    await Promise.allSettled([this.#running, this.#closing, ...this.#adding, ...this.#committing.values()])
    this.#prepared?.[Symbol.dispose]()
    await this.#log.close()
    this.spool.forget()
  }

  /** The attempt is settled, or void: nothing of it is kept. */
  async drop(): Promise<void> {
    await this.close()
    await removeFolder(this.#folder)
  }

  #holdsLease(): boolean {
    return this.#context.leases.holds(this.state.plan.shard, this.state.plan.epoch)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    if (this.state.summed === undefined) {
      const prepared = await this.#prepare(signal)
      if (prepared !== undefined) {
        for (const report of this.state.reports.values()) {
          if (report.verdict === 'accepted' && report.weight > 0) await this.#addTo(prepared, report)
        }
        signal.throwIfAborted()
        this.#prepared = prepared
        if (this.state.closing === undefined) this.#openSelection()
      }
      this.#evaluate()
      await this.#closing
    } else {
      await this.#tellCentral(signal)
    }
  }

  /** The attempt's objects; undefined when they do not come before the deadline and nothing was accepted. */
  async #prepare(signal: AbortSignal): Promise<PreparedAttempt | undefined> {
    const { clock, cache } = this.#context
    const { descriptor } = this.state
    for (let tries = 0; ; tries += 1) {
      try {
        return await prepareAttempt(descriptor, cache, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (tries + 1 === triesBeforeFailure) await this.#tellFailure(error, signal)
        this.#report('warn', 'the model of the attempt cannot be had', error)
        const left = Date.parse(descriptor.deadline) - clock.now()
        if (left <= 0 && this.state.accepted === 0) return undefined
        const wait = backoffMillis(tries, 200, 5000)
        await pause(clock, left > 0 ? Math.min(wait, left) : wait, signal)
      }
    }
  }

  async #tellFailure(error: unknown, signal: AbortSignal): Promise<void> {
    const { region, shard, epoch } = this.state.plan
    const code = error instanceof TributaryError ? error.code : 'UNAVAILABLE'
    const detail = (error as Error).message.slice(0, 1000)
    const node = this.#context.identity.id
    const event = { ...this.ref, region, shard, epoch, node, code, detail }
    await this.#context.publish('shard.failed', event, signal).catch(() => {})
  }

  /** Selects among those who are online; who appears later is added at CheckIn. */
  #openSelection(): void {
    const { directory, presence, notify, clock } = this.#context
    const { descriptor, plan, selected } = this.state
    if (!selectionIsOver(this.state, clock.now())) {
      const candidates = [...directory.ofShard(plan.shard, 'trainer')].filter(
        device => !selected.has(device.device) && isEligible(descriptor, device, presence.capabilities(device.device)),
      )
      const chosen = selectCohort(descriptor, candidates, plan.select - selected.size)
      if (chosen.length > 0) this.#select(chosen)
    }
    const awaited = [...selected.keys()].filter(device => this.state.awaits(device))
    void Promise.all(awaited.map(device => this.#committing.get(device) ?? Promise.resolve())).then(
      () => notify(awaited, { kind: 'work', attempt: this.ref }),
      () => {},
    )
  }

  #select(devices: readonly KnownDevice[]): void {
    const record = { kind: 'selected', devices: devices.map(({ device, label }) => ({ device, label })) } as const
    const durable = this.#append(record)
    for (const { device } of devices) this.#track(device, durable)
  }

  async #commit(device: string, record: AttemptRecord): Promise<void> {
    const durable = this.#append(record)
    this.#track(device, durable)
    await durable
  }

  /** State changes at once, so that goal and capacity are never overrun; nobody is told before it is durable. */
  #append(record: AttemptRecord): Promise<void> {
    this.state.apply(record)
    return this.#log.append(encodeAttemptRecord(record))
  }

  #track(device: string, durable: Promise<void>): void {
    this.#committing.set(device, durable)
    durable.then(
      () => {
        if (this.#committing.get(device) === durable) this.#committing.delete(device)
      },
      // The log failed: the promise stays, so that nobody is told what is not durable.
      () => {},
    )
  }

  #add(update: AcceptedUpdate): Promise<void> {
    const prepared = this.#prepared
    return prepared === undefined ? Promise.reject(new Error('not prepared')) : this.#addTo(prepared, update)
  }

  async #addTo({ sum, manifest }: PreparedAttempt, { device, sha256, bytes, weight }: AcceptedUpdate): Promise<void> {
    await using body = await this.spool.read(device, sha256)
    await addSpooledUpdate(sum, body, bytes, manifest, weight)
  }

  /** Closes the shard if it is time, else waits for the next moment at which the clock alone may. */
  #evaluate(): void {
    this.#timer?.[Symbol.dispose]()
    if (this.#stop.signal.aborted || this.#closing !== undefined) return
    const { clock } = this.#context
    const now = clock.now()
    const reason = this.state.closing ?? closingReason(this.state, now)
    if (reason !== null && this.#holdsLease()) {
      this.#closing = this.#close(reason, this.#stop.signal).catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#report('error', 'the shard cannot be closed', error)
      })
      return
    }
    this.#timer = clock.after(reason === null ? nextMoment(this.state, now) : leasePollMillis, () => this.#evaluate())
  }

  async #close(reason: NonNullable<ShardState['closing']>, signal: AbortSignal): Promise<void> {
    const { clock, store, identity } = this.#context
    if (this.state.closing === undefined) await this.#append({ kind: 'closing', reason })
    await Promise.all(this.#committing.values())
    await Promise.all(this.#adding)
    for (let tries = 0; ; tries += 1) {
      await this.#leaseHeld(signal)
      try {
        const list = () =>
          participationLines(this.state, {
            late: this.#late,
            uploading: device => this.spool.has(device),
            faults: this.#faults,
          })
        const where = { folder: this.#folder, node: identity.id, store, signal }
        const event = await storeShardResult(this.state, this.#prepared?.sum ?? null, list, where)
        await this.#append({ kind: 'summed', event })
        const { accepted, empty, invalid, failed } = this.state
        const { selected } = event
        this.#context.journal.report('info', `shard closed (${reason}): ${accepted} of ${selected} accepted`, {
          ...this.ref,
          shard: this.state.plan.shard,
          fields: { reason, accepted, selected, empty, invalid, failed, weight: event.weight },
        })
        break
      } catch (error) {
        signal.throwIfAborted()
        this.#report('warn', 'the shard sum cannot be stored', error)
        await pause(clock, backoffMillis(tries, 200, 5000), signal)
      }
    }
    await this.spool.removeAll()
    await this.#tellCentral(signal)
  }

  /** Publishes `shard.summed`, and again from time to time until the attempt is settled: central takes it once. */
  async #tellCentral(signal: AbortSignal): Promise<void> {
    const { clock, publish, statusChanged } = this.#context
    const event = this.state.summed ?? fail('not summed')
    for (;;) {
      await this.#leaseHeld(signal)
      await publish('shard.summed', event, signal)
      statusChanged()
      await pause(clock, repeatEventMillis, signal)
    }
  }

  async #leaseHeld(signal: AbortSignal): Promise<void> {
    while (!this.#holdsLease()) await pause(this.#context.clock, leasePollMillis, signal)
  }

  #report(level: 'warn' | 'error', message: string, error: unknown): void {
    const code = error instanceof TributaryError ? error.code : undefined
    this.#context.journal.report(level, `${message}: ${(error as Error).message}`, {
      ...this.ref,
      shard: this.state.plan.shard,
      ...(code === undefined ? {} : { code }),
    })
  }
}

const fail = (message: string): never => {
  throw new LogCorruptError(message)
}
