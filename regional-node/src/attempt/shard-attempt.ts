import { TributaryError } from '@tributary/contracts/errors'
import type { ShardSummed } from '@tributary/contracts/events'
import type { AttemptRef } from '@tributary/contracts/ids'
import type { ShardProgress } from '@tributary/contracts/node-status'
import { backoffMillis, pause } from '../clock.ts'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { UpdateVerdict } from '../kernels/spooled-body.ts'
import { removeFolder } from '../log/durable-files.ts'
import { failpoint } from '../log/failpoint.ts'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import { isNoRoom } from '../log/no-room-error.ts'
import type { UpdateSpool } from '../log/update-spool.ts'
import type { AttemptContext } from './attempt-context.ts'
import { AttemptJournal } from './attempt-journal.ts'
import type { Opening } from './attempt-log.ts'
import type { AcceptedUpdate, AttemptRecord, FailedDevice, InvalidUpdate } from './attempt-records.ts'
import { isEligible } from './eligibility.ts'
import { type AttemptHome, type OpenedAttempt, openAttempt, type SpooledUpdate } from './open-attempt.ts'
import { type PreparedAttempt, prepareAttempt } from './prepare-attempt.ts'
import { ResultDelivery } from './result-delivery.ts'
import type { Answer, RoundEffect } from './round/round-effect.ts'
import type { Moment, RoundEvent } from './round/round-event.ts'
import type { Report, ShardState } from './round/shard-state.ts'
import { RoundRequests } from './round-requests.ts'
import { Stragglers } from './stragglers.ts'

const triesBeforeFailure = 5
/** How long a timer counts as set for the moment that it was set for. */
const timerMillis = 1000

/**
 * One shard's part of one attempt: performs what its state machine decides, on disk, network and clock, and tells it what came of
 * it. All decisions are the machine's.
 */
export class ShardAttempt {
  readonly #opened: OpenedAttempt
  readonly #context: AttemptContext
  readonly #journal: AttemptJournal
  /** Accepted updates that are not in a sum file on record, in the order of their records. */
  #spooled: SpooledUpdate[]
  readonly #requests = new RoundRequests()
  readonly #stragglers: Stragglers
  readonly #stop = new AbortController()
  readonly #delivery: ResultDelivery
  /** Work that runs: `close` waits for it. */
  readonly #running = new Set<Promise<void>>()
  #prepared: PreparedAttempt | undefined
  #timer: (Disposable & { readonly at: number; readonly setAt: number }) | undefined
  #isStarted = false

  private constructor(opened: OpenedAttempt, context: AttemptContext) {
    this.#opened = opened
    this.#context = context
    this.#spooled = [...opened.spooled]
    this.#journal = new AttemptJournal(context, this.state)
    this.#stragglers = new Stragglers(this.state)
    this.#delivery = new ResultDelivery(opened, context, this.#journal, this.#stop.signal)
  }

  /** Opens it as `openAttempt` does; `start` begins its work. */
  static async open(home: AttemptHome, context: AttemptContext, opening?: Opening): Promise<ShardAttempt> {
    return new ShardAttempt(await openAttempt(home, context, opening), context)
  }

  get spool(): UpdateSpool {
    return this.#opened.spool
  }

  get state(): ShardState {
    return this.#opened.machine.state
  }

  get ref(): AttemptRef {
    return this.#opened.machine.ref
  }

  /** Most bytes of an update, known once the manifest is at hand. */
  get maxUpdateBytes(): number | undefined {
    return this.#prepared?.maxUpdateBytes
  }

  get progress(): ShardProgress {
    return this.#opened.machine.progress(this.#context.clock.now())
  }

  /** Whether updates can be accepted now. */
  get isCollecting(): boolean {
    return this.#opened.machine.isCollecting(this.#moment())
  }

  /** Begins the work, once the lease is there, or looks at the lease again. */
  start(): void {
    const kind = this.#isStarted ? 'moment' : 'started'
    this.#isStarted = true
    this.#step({ kind })
  }

  /**
   * Whether the device has work here. A newcomer is selected while selection lasts; one that was selected by an earlier epoch,
   * until the shard closes.
   * @param receipts what the device shows of updates that it keeps
   */
  async offers(known: KnownDevice, receipts: readonly string[] = []): Promise<boolean> {
    const { device, label } = known
    const { presence } = this.#context
    const eligible = isEligible(this.state.descriptor, known, presence.capabilities(device))
    const proven = await this.#isProven(device, receipts)
    const answer = await this.#ask(request => ({ kind: 'arrived', request, device, label, eligible, proven }))
    return answer === 'work'
  }

  async #isProven(device: string, shown: readonly string[]): Promise<boolean> {
    const { selected, descriptor, plan } = this.state
    if (shown.length === 0 || !this.isCollecting || selected.has(device)) return false
    const { receipts, clock } = this.#context
    const part = { ...this.ref, ...plan, device, openedAt: Date.parse(descriptor.openedAt) }
    return receipts.prove(shown, part, clock.now())
  }

  /** What the part of a device is; `reported` once that is durable. */
  partOf(device: string): Promise<Answer> {
    return this.#ask(request => ({ kind: 'asked', request, device }))
  }

  /** How the part of a device ended, from the log. */
  async reportOf(device: string): Promise<Report | undefined> {
    return (await this.#opened.log.find(device))?.report
  }

  /**
   * Checks the body of an update, which is in the spool; undefined while the attempt is being prepared.
   * @throws UpdateWorkersError; the signal's reason
   */
  async check(device: string, sha256: string, bytes: number, signal: AbortSignal): Promise<UpdateVerdict | undefined> {
    return this.#prepared?.round.check(this.spool.body(device, sha256, bytes), { sha256, signal })
  }

  /** Takes an update that passed every check; `counted` once it is durable and part of the sum. */
  accept(update: AcceptedUpdate): Promise<Answer> {
    return this.#ask(request => ({ kind: 'passed', request, update }))
  }

  /** Takes a refusal that ends the device's part; `reported` once it is durable. */
  refuse(update: InvalidUpdate): Promise<Answer> {
    return this.#ask(request => ({ kind: 'refused', request, update }))
  }

  /**
   * Takes that a device cannot do its part, which ends it; resolves when that is durable. Of no effect where the device is not
   * awaited.
   * @param log the end of the device's own, for the operator; not durable
   * @throws TributaryError UNAVAILABLE while the lease is not held, or the disk is full
   */
  async fail(failure: FailedDevice, log = ''): Promise<void> {
    using _log = this.#journal.withDeviceLog(failure.device, log)
    const answer = await this.#ask(request => ({ kind: 'declined', request, failure }))
    // It was just being selected.
    if (answer === 'awaited') return await this.fail(failure, log)
    if (answer === 'wait') throw new TributaryError('UNAVAILABLE', { detail: 'The lease is being renewed.' })
    if (answer === 'full') throw new TributaryError('NODE_FULL')
  }

  /** Remembers a refusal after which the device may send again. */
  noteFault(device: string, fault: { code: string; detail: string }): void {
    if (!this.state.selected.has(device)) return
    this.#stragglers.noteFault(device, fault)
    this.#journal.tell('warn', `upload refused: ${fault.detail}`, { device, code: fault.code })
  }

  /** Remembers a selected device that sent only after the shard had closed, for the participation list. */
  noteLate(device: string): void {
    this.#stragglers.noteLate(device)
  }

  /** The disk is short of room: what can be folded is. */
  relieve(): void {
    this.#step({ kind: 'short' })
  }

  /** Ends the work and keeps what is on disk, for a restart. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the attempt is closed'))
    this.#timer?.[Symbol.dispose]()
    this.#requests.end({ answer: 'wait' })
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    await this.#opened.log.close()
    this.#opened.sums[Symbol.dispose]()
    this.#prepared?.[Symbol.dispose]()
    await this.spool.close()
  }

  /** The attempt is settled, or void: nothing of it is kept. */
  async drop(): Promise<void> {
    await this.close()
    await removeFolder(this.#opened.folder)
  }

  #moment(): Moment {
    const { clock, leases } = this.#context
    const { shard, epoch } = this.state.plan
    return { now: clock.now(), leased: leases.holds(shard, epoch) }
  }

  #step(event: RoundEvent): void {
    if (this.#stop.signal.aborted) return
    for (const effect of this.#opened.machine.step(event, this.#moment())) this.#perform(effect)
  }

  #ask(event: (request: number) => RoundEvent): Promise<Answer> {
    return this.#requests.ask(request => this.#step(event(request)))
  }

  /** Begins an effect. What comes of it is told by a later event, never at once: steps do not nest. */
  #perform(effect: RoundEffect): void {
    switch (effect.kind) {
      case 'append':
        this.#run(this.#append(effect.number, effect.record))
        return
      case 'answer':
        this.#requests.answer(effect.request, effect.answer)
        return
      case 'prepare':
        this.#run(this.#prepare())
        return
      case 'add':
        this.#run(this.#add(effect.number, effect.update))
        return
      case 'discard':
        this.#run(this.spool.remove(effect.device))
        return
      case 'fold':
        this.#run(this.#fold(effect.through))
        return
      case 'drop':
        this.#run(this.#drop(effect.through))
        return
      case 'store':
        this.#run(this.#store())
        return
      case 'dropAll':
        this.#run(this.#dropAll())
        return
      case 'publish':
        this.#run(this.#publish(effect.event))
        return
      case 'notify':
        this.#context.notify(effect.devices, { kind: 'work', attempt: this.ref })
        return
      case 'timer':
        this.#wakeAt(effect.at)
        return
    }
  }

  /** Looks again at a time, Unix ms; each step says when. */
  #wakeAt(at: number): void {
    const { clock } = this.#context
    const now = clock.now()
    // The wall clock may be set: a timer that was set a while ago may be off.
    if (this.#timer?.at === at && Math.abs(now - this.#timer.setAt) < timerMillis) return
    this.#timer?.[Symbol.dispose]()
    const timer = clock.after(at - now, () => {
      this.#timer = undefined
      this.#step({ kind: 'moment' })
    })
    this.#timer = { at, setAt: now, [Symbol.dispose]: () => timer[Symbol.dispose]() }
  }

  /** Owns work that runs. It may fail for one reason only, beside the end of the attempt: the disk does not keep its promise. */
  #run(work: Promise<void>): void {
    const owned = work
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted) return
        if (error instanceof LogCorruptError) return this.#context.onShardLost(this.state.plan, error)
        this.#requests.end({ error })
        this.#context.onDiskFailure(error)
      })
      .finally(() => this.#running.delete(owned))
    this.#running.add(owned)
  }

  async #append(number: number, record: AttemptRecord): Promise<void> {
    try {
      await this.#opened.log.append(number, record)
    } catch (error) {
      if (!isNoRoom(error)) throw error
      this.#context.room.noteFull(error)
      this.#step({ kind: 'unwritten', through: number })
      return
    }
    if (record.kind === 'accepted' && record.weight > 0) this.#spooled.push({ number, ...record })
    if (record.kind === 'folded') failpoint('fold.after-record')
    if (record.kind === 'summed') failpoint('result.after-record')
    this.#journal.recorded(record)
    this.#step({ kind: 'durable', through: number })
  }

  async #add(number: number, { device, sha256, bytes, weight }: AcceptedUpdate): Promise<void> {
    await this.#opened.sums.add({ body: this.spool.body(device, sha256, bytes), sha256, weight })
    this.#step({ kind: 'added', number })
  }

  async #fold(through: number): Promise<void> {
    try {
      const sum = await this.#opened.sums.fold(through)
      this.#step({ kind: 'folded', through, sum })
    } catch (error) {
      if (!isNoRoom(error)) throw error
      this.#context.room.noteFull(error)
      this.#step({ kind: 'unfolded' })
    }
  }

  async #drop(through: number): Promise<void> {
    const folded = this.#spooled.filter(({ number }) => number <= through)
    this.#spooled = this.#spooled.filter(({ number }) => number > through)
    for (const { device } of folded) await this.spool.remove(device)
    await this.#opened.sums.removeBefore(through)
    failpoint('fold.after-drop')
  }

  async #dropAll(): Promise<void> {
    await this.spool.removeAll()
    await this.#opened.sums.keepOnly(undefined)
  }

  /** The attempt's objects, and the sum as it was before a restart. */
  async #prepare(): Promise<void> {
    const { clock, cache, directory, presence, workers } = this.#context
    const { descriptor, plan } = this.state
    const { signal } = this.#stop
    for (let tries = 0; ; tries += 1) {
      try {
        const prepared = await prepareAttempt(descriptor, cache, workers, signal)
        this.#prepared = prepared
        const bodies = this.#spooled.map(({ device, sha256, bytes, weight }) => ({
          body: this.spool.body(device, sha256, bytes),
          sha256,
          weight,
        }))
        await this.#opened.sums.open(prepared.round, this.state.folded?.sum, bodies)
        break
      } catch (error) {
        this.#prepared?.[Symbol.dispose]()
        this.#prepared = undefined
        signal.throwIfAborted()
        if (error instanceof LogCorruptError) throw error
        if (tries + 1 === triesBeforeFailure) await this.#tellFailure(error)
        this.#journal.failed('the model of the attempt cannot be had', error)
        const left = Date.parse(descriptor.deadline) - clock.now()
        if (left <= 0 && this.state.accepted === 0) return this.#step({ kind: 'unprepared' })
        const wait = backoffMillis(tries, 200, 5000)
        await pause(clock, left > 0 ? Math.min(wait, left) : wait, signal)
      }
    }
    const candidates = [...directory.ofShard(plan.shard, 'trainer')].filter(device =>
      isEligible(descriptor, device, presence.capabilities(device.device)),
    )
    this.#step({ kind: 'prepared', candidates })
  }

  async #store(): Promise<void> {
    this.#step({ kind: 'stored', event: await this.#delivery.store(this.#stragglers) })
  }

  async #publish(event: ShardSummed): Promise<void> {
    await this.#delivery.publish(event)
    this.#step({ kind: 'published' })
  }

  async #tellFailure(error: unknown): Promise<void> {
    const { region, shard, epoch } = this.state.plan
    const code = error instanceof TributaryError ? error.code : 'UNAVAILABLE'
    const detail = (error as Error).message.slice(0, 1000)
    const event = { ...this.ref, region, shard, epoch, node: this.#context.identity.id, code, detail }
    await this.#context.publish('shard.failed', event, this.#stop.signal).catch(() => {})
  }
}
