import type { AttemptRef } from '@tributary/contracts/ids'
import type { ShardProgress } from '@tributary/contracts/node-status'
import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import { selectDevices } from '@tributary/learning/seeded/selection'
import type { AcceptedUpdate, AttemptRecord } from '../attempt-records.ts'
import { closingReason, nextMoment, selectionIsOver } from './closing-rule.ts'
import type { Answer, RoundEffect } from './round-effect.ts'
import type { Candidate, Moment, RequestId, RoundEvent } from './round-event.ts'
import { ShardState } from './shard-state.ts'
import { type FoldLimits, Unfolded } from './unfolded.ts'

/** How long until a lease that is being renewed is looked at again. */
const leasePollMillis = 250
/** How long until a disk without room is tried again. */
const roomPollMillis = 1000
/** Central takes the event once, however often it comes; it comes again until the attempt is settled. */
const repeatEventMillis = 30_000
/** Devices in one record, so that every record stays small. */
const devicesPerRecord = 1000

type Pending = { readonly number: number; readonly record: AttemptRecord }
type Waiter = { readonly request: RequestId; readonly device: string; readonly wants: 'work' | 'receipt' | 'report' }
type Event<Kind extends RoundEvent['kind']> = Extract<RoundEvent, { kind: Kind }>

/**
 * One shard's part of one attempt as a state machine: events in, effects out, nothing else. It reads no clock, no disk and no
 * network, so the same events at the same moments give the same effects. What must be durable before what is decided here and
 * nowhere else:
 *
 * - a device is told of work, of a receipt or of a refusal only once the record of it is durable;
 * - an update is added to the sum only once its record is durable, and its receipt goes out only once it is added;
 * - a sum file holds exactly the updates of all records up to one; bodies go only once the record of the fold is durable;
 * - the sum is stored only once the closing is durable and nothing is under way;
 * - central is told only once the record of what was stored is durable, and only under the lease.
 */
export class ShardRound {
  readonly state: ShardState
  readonly #unfolded: Unfolded
  /** Number of the newest record. */
  #newest: number
  /** Appended and not durable yet, oldest first. */
  #pending: Pending[] = []
  /** Devices with a record that is not settled: durable and, for an update, added. */
  readonly #unsettled = new Map<string, number>()
  readonly #waiters = new Map<number, Waiter[]>()
  readonly #adding = new Map<number, AcceptedUpdate>()
  #held: { readonly number: number; readonly update: AcceptedUpdate }[] = []
  #readiness: 'waiting' | 'preparing' | 'ready' | 'never' = 'waiting'
  #result: 'none' | 'storing' | 'logging' | 'logged' = 'none'
  #stored: Event<'stored'>['event'] | undefined
  #isPublishing = false
  #publishAt = 0
  #isShort = false
  #roomAt = 0
  #effects: RoundEffect[] = []

  /** A machine for what is in the log: nothing yet but `opened`. */
  constructor(descriptor: RoundDescriptor, plan: ShardPlan, limits: FoldLimits) {
    this.state = new ShardState(descriptor, plan)
    this.#unfolded = new Unfolded(limits)
    this.#newest = 1
  }

  get ref(): AttemptRef {
    const { task, round, attempt } = this.state.descriptor
    return { task, round, attempt }
  }

  /** Takes a record of the log after a restart, in its order, before any event. */
  replay(number: number, record: AttemptRecord): void {
    this.#newest = number
    this.state.apply(record)
    this.state.settle(record)
    if (record.kind === 'accepted' && record.weight > 0) this.#unfolded.count(number, record.bytes)
    if (record.kind === 'folded') this.#unfolded.end(record.through)
  }

  /** Takes an event and says what is to be done for it, in order. */
  step(event: RoundEvent, moment: Moment): RoundEffect[] {
    this.#effects = []
    this.#take(event, moment)
    this.#goOn(moment)
    return this.#effects
  }

  /** Whether updates can be accepted. */
  isCollecting({ leased }: Pick<Moment, 'leased'>): boolean {
    return leased && this.#readiness === 'ready' && this.state.closing === undefined
  }

  progress(now: number): ShardProgress {
    const { plan, closing, selected, accepted, empty, invalid, failed } = this.state
    const open = selectionIsOver(this.state, now) ? 'collecting' : 'selecting'
    return {
      ...this.ref,
      shard: plan.shard,
      epoch: plan.epoch,
      state: this.#result === 'logged' ? 'summed' : closing ? 'closing' : open,
      selected: selected.size,
      accepted,
      refused: empty + invalid + failed,
    }
  }

  #take(event: RoundEvent, moment: Moment): void {
    switch (event.kind) {
      case 'started':
        if (this.state.summed !== undefined) this.#result = 'logged'
        else {
          this.#readiness = 'preparing'
          this.#effects.push({ kind: 'prepare' })
        }
        return
      case 'prepared':
        this.#readiness = 'ready'
        if (this.state.closing === undefined) this.#openSelection(event, moment)
        return
      case 'unprepared':
        this.#readiness = 'never'
        return
      case 'arrived':
        this.#arrive(event, moment)
        return
      case 'asked':
        this.#answerWith(event.request, this.#partOf(event.device, event.request, moment))
        return
      case 'passed':
        this.#report(event.request, { kind: 'accepted', ...event.update }, 'receipt', moment)
        return
      case 'refused':
        this.#report(event.request, { kind: 'invalid', ...event.update }, 'report', moment)
        return
      case 'declined':
        this.#report(event.request, { kind: 'failed', ...event.failure }, 'report', moment)
        return
      case 'durable':
        while ((this.#pending[0]?.number ?? Number.POSITIVE_INFINITY) <= event.through) {
          this.#settle(this.#pending.shift() as Pending, moment)
        }
        return
      case 'unwritten':
        this.#takeBack(event.through, moment)
        return
      case 'added': {
        const update = this.#adding.get(event.number)
        this.#adding.delete(event.number)
        this.#finish(event.number, moment, update?.device)
        return
      }
      case 'folded':
        if (this.#unfolded.fold !== undefined) this.#unfolded.fold.step = 'logging'
        this.#append({ kind: 'folded', through: event.through, sum: event.sum })
        this.#releaseHeld()
        return
      case 'unfolded':
        this.#giveUpFold(moment)
        return
      case 'short':
        this.#isShort = this.#unfolded.updates > 0
        return
      case 'stored':
        this.#stored = event.event
        return
      case 'published':
        this.#isPublishing = false
        this.#publishAt = moment.now + repeatEventMillis
        return
      case 'moment':
        return
    }
  }

  /** What follows by itself: folding, closing, storing, telling, and when to look again. */
  #goOn(moment: Moment): void {
    const wakes = [
      this.#goOnFolding(moment),
      this.#result === 'logged' ? this.#goOnTelling(moment) : this.#goOnClosing(moment),
    ].filter(at => at !== undefined)
    if (wakes.length > 0) this.#effects.push({ kind: 'timer', at: Math.min(...wakes) })
  }

  #goOnFolding({ now }: Moment): number | undefined {
    const { closing } = this.state
    if (this.#readiness !== 'ready' || this.#result !== 'none') return undefined
    if (this.#unfolded.fold === undefined) {
      if (this.#unfolded.updates === 0) this.#isShort = false
      const isLast = closing !== undefined && this.#isQuiet() && this.#unfolded.updates > 0
      const isDue = this.#unfolded.isDue || this.#isShort
      if (!isLast && !isDue) return undefined
      if (now < this.#roomAt) return this.#roomAt
      this.#isShort = false
      this.#unfolded.begin(this.#newest)
    }
    const { fold } = this.#unfolded
    if (fold?.step === 'settling' && this.#isSettledThrough(fold.through)) {
      fold.step = 'writing'
      this.#effects.push({ kind: 'fold', through: fold.through })
    }
    return undefined
  }

  #goOnClosing(moment: Moment): number | undefined {
    const { now, leased } = moment
    if (this.#readiness === 'waiting' || this.#readiness === 'preparing') return undefined
    if (this.state.closing === undefined) {
      const reason = closingReason(this.state, now)
      if (reason === null) return now + nextMoment(this.state, now)
      if (!leased) return now + leasePollMillis
      if (now < this.#roomAt) return this.#roomAt
      this.#append({ kind: 'closing', reason })
      return undefined
    }
    if (!this.#isQuiet() || this.#unfolded.fold !== undefined || this.#unfolded.updates > 0) return undefined
    if (this.#result === 'none') {
      this.#result = 'storing'
      this.#effects.push({ kind: 'store' })
    }
    if (this.#result === 'storing' && this.#stored !== undefined) {
      if (now < this.#roomAt) return this.#roomAt
      this.#result = 'logging'
      this.#append({ kind: 'summed', event: this.#stored })
    }
    return undefined
  }

  #goOnTelling({ now, leased }: Moment): number | undefined {
    const event = this.state.summed
    if (event === undefined || this.#isPublishing) return undefined
    if (now < this.#publishAt) return this.#publishAt
    if (!leased) return now + leasePollMillis
    this.#isPublishing = true
    this.#effects.push({ kind: 'publish', event })
    return undefined
  }

  /** Selects among those who are online; who appears later is added when it asks. */
  #openSelection({ candidates }: Event<'prepared'>, { now }: Moment): void {
    const { descriptor, plan, selected } = this.state
    if (!selectionIsOver(this.state, now)) {
      const fresh = candidates.filter(({ device }) => !selected.has(device))
      this.#select(selectDevices(fresh, plan.select - selected.size, descriptor, ({ label }) => label))
    }
    // Who was selected before a restart may not have heard of it.
    const known = [...selected.devices()].filter(device => this.state.awaits(device) && !this.#unsettled.has(device))
    if (known.length > 0) this.#effects.push({ kind: 'notify', devices: known })
  }

  #select(devices: readonly Candidate[]): void {
    for (let start = 0; start < devices.length; start += devicesPerRecord) {
      const part = devices.slice(start, start + devicesPerRecord).map(({ device, label }) => ({ device, label }))
      const number = this.#append({ kind: 'selected', devices: part })
      for (const { device } of part) this.#unsettled.set(device, number)
    }
  }

  #arrive({ request, device, label, eligible }: Event<'arrived'>, moment: Moment): void {
    if (!this.isCollecting(moment)) {
      this.#answer(request, 'nothing')
      return
    }
    if (!this.state.selected.has(device)) {
      if (!eligible || selectionIsOver(this.state, moment.now) || moment.now < this.#roomAt) {
        this.#answer(request, 'nothing')
        return
      }
      this.#select([{ device, label }])
    }
    const number = this.#unsettled.get(device)
    if (number !== undefined) this.#await(number, { request, device, wants: 'work' })
    else this.#answer(request, this.state.awaits(device) ? 'work' : 'nothing')
  }

  /** Undefined where the answer has to wait for the disk. */
  #partOf(device: string, request: RequestId, moment: Moment): Answer | undefined {
    if (!this.state.selected.has(device)) return 'stranger'
    const number = this.#unsettled.get(device)
    if (number !== undefined) {
      this.#await(number, { request, device, wants: 'report' })
      return undefined
    }
    return this.#settledPartOf(device, moment)
  }

  #settledPartOf(device: string, moment: Moment): Answer {
    if (!this.state.awaits(device)) return 'reported'
    if (this.state.closing !== undefined) return 'late'
    return this.isCollecting(moment) ? 'awaited' : 'wait'
  }

  /** Ends the part of a device that is awaited; otherwise says what its part is: `awaited` where it was just being selected. */
  #report(
    request: RequestId,
    record: Extract<AttemptRecord, { kind: 'accepted' | 'invalid' | 'failed' }>,
    wants: Waiter['wants'],
    moment: Moment,
  ): void {
    const part = this.#partOf(record.device, request, moment)
    if (part !== 'awaited' && !(part === 'wait' && record.kind === 'failed' && moment.leased)) {
      this.#answerWith(request, part)
      return
    }
    const number = this.#append(record)
    this.#unsettled.set(record.device, number)
    this.#await(number, { request, device: record.device, wants })
  }

  /** State changes at once, so that goal and plan are never overrun; nobody is told before it is durable. */
  #append(record: AttemptRecord): number {
    this.#newest += 1
    const number = this.#newest
    this.state.apply(record)
    this.#pending.push({ number, record })
    this.#effects.push({ kind: 'append', number, record })
    return number
  }

  #settle({ number, record }: Pending, moment: Moment): void {
    this.state.settle(record)
    switch (record.kind) {
      case 'accepted':
        if (record.weight === 0) {
          this.#effects.push({ kind: 'discard', device: record.device })
          this.#finish(number, moment, record.device)
          return
        }
        this.#unfolded.count(number, record.bytes)
        this.#add(number, record)
        return
      case 'invalid':
        this.#effects.push({ kind: 'discard', device: record.device })
        this.#finish(number, moment, record.device)
        return
      case 'failed':
        this.#finish(number, moment, record.device)
        return
      case 'selected': {
        const devices = record.devices.map(({ device }) => device)
        for (const device of devices) this.#unsettled.delete(device)
        this.#finish(number, moment)
        if (this.isCollecting(moment)) this.#effects.push({ kind: 'notify', devices })
        return
      }
      case 'folded':
        this.#unfolded.end(record.through)
        this.#effects.push({ kind: 'drop', through: record.through })
        return
      case 'summed':
        this.#result = 'logged'
        this.#effects.push({ kind: 'dropAll' })
        return
      case 'opened':
      case 'closing':
        return
    }
  }

  /** The disk had no room for records: what they did is undone, newest first. */
  #takeBack(through: number, moment: Moment): void {
    const group: Pending[] = []
    while ((this.#pending[0]?.number ?? Number.POSITIVE_INFINITY) <= through)
      group.push(this.#pending.shift() as Pending)
    this.#roomAt = moment.now + roomPollMillis
    for (const { number, record } of group.reverse()) {
      this.state.revert(record)
      if (record.kind === 'folded') this.#giveUpFold(moment)
      if (record.kind === 'summed') this.#result = 'storing'
      if (record.kind === 'selected') for (const { device } of record.devices) this.#unsettled.delete(device)
      if ('device' in record) this.#unsettled.delete(record.device)
      for (const { request } of this.#waiters.get(number) ?? []) this.#answer(request, 'full')
      this.#waiters.delete(number)
    }
  }

  #add(number: number, update: AcceptedUpdate): void {
    if (this.#unfolded.holds(number)) {
      this.#held.push({ number, update })
      return
    }
    this.#adding.set(number, update)
    this.#effects.push({ kind: 'add', number, update })
  }

  #releaseHeld(): void {
    const held = this.#held
    this.#held = []
    for (const { number, update } of held) this.#add(number, update)
  }

  #giveUpFold({ now }: Moment): void {
    this.#roomAt = now + roomPollMillis
    this.#unfolded.giveUp()
    this.#releaseHeld()
  }

  /** The record of a device is settled: whoever waits for it is told. */
  #finish(number: number, moment: Moment, device?: string): void {
    if (device !== undefined) this.#unsettled.delete(device)
    for (const waiter of this.#waiters.get(number) ?? []) this.#answer(waiter.request, this.#outcome(waiter, moment))
    this.#waiters.delete(number)
  }

  #outcome({ device, wants }: Waiter, moment: Moment): Answer {
    if (wants === 'report') return this.#settledPartOf(device, moment)
    // Without the lease a receipt would promise what is no longer ours to keep.
    if (wants === 'receipt') return moment.leased ? 'counted' : 'wait'
    return this.isCollecting(moment) && this.state.awaits(device) ? 'work' : 'nothing'
  }

  #await(number: number, waiter: Waiter): void {
    const waiters = this.#waiters.get(number)
    if (waiters === undefined) this.#waiters.set(number, [waiter])
    else waiters.push(waiter)
  }

  #answerWith(request: RequestId, answer: Answer | undefined): void {
    if (answer !== undefined) this.#answer(request, answer)
  }

  #answer(request: RequestId, answer: Answer): void {
    this.#effects.push({ kind: 'answer', request, answer })
  }

  /** Whether no record up to `through` is under way to the disk or into the sum. */
  #isSettledThrough(through: number): boolean {
    if ((this.#pending[0]?.number ?? Number.POSITIVE_INFINITY) <= through) return false
    for (const number of this.#adding.keys()) if (number <= through) return false
    return true
  }

  #isQuiet(): boolean {
    return this.#pending.length === 0 && this.#adding.size === 0 && this.#held.length === 0
  }
}
