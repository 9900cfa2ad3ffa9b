import type { AttemptRef } from '@tributary/contracts/ids'
import type { ShardProgress } from '@tributary/contracts/node-status'
import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import { selectDevices } from '@tributary/learning/seeded/selection'
import type { AcceptedUpdate, AttemptRecord } from '../attempt-records.ts'
import { closingReason, nextMoment, selectionEnd, selectionIsOver } from './closing-rule.ts'
import { devicesOf, RecordTrack, type TrackedRecord, type Waiter } from './record-track.ts'
import type { Answer, RoundEffect } from './round-effect.ts'
import type { Candidate, Moment, RequestId, RoundEvent } from './round-event.ts'
import { type FoldLimits, RunningSum } from './running-sum.ts'
import { ShardState } from './shard-state.ts'

/** How long until a lease that is being renewed is looked at again. */
const leasePollMillis = 250
/** How long until a disk without room is tried again. */
const roomPollMillis = 1000
/** Central takes the event once, however often it comes; it comes again until the attempt is settled. */
const repeatEventMillis = 30_000
/** Devices in one record, so that every record stays small. */
const devicesPerRecord = 1000

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
  readonly #sum: RunningSum
  readonly #track = new RecordTrack()
  /** Number of the newest record. */
  #newest: number
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
    this.#sum = new RunningSum(limits)
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
    if (record.kind === 'accepted' && record.weight > 0) this.#sum.count(number, record.bytes)
    if (record.kind === 'folded') this.#sum.endFold(record.through)
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
        for (const tracked of this.#track.take(event.through)) this.#settle(tracked, moment)
        return
      case 'unwritten':
        this.#takeBack(event.through, moment)
        return
      case 'added':
        this.#finish(event.number, this.#sum.added(event.number), moment)
        return
      case 'folded':
        this.#begin(this.#sum.fileWritten())
        this.#append({ kind: 'folded', through: event.through, sum: event.sum })
        return
      case 'unfolded':
        this.#giveUpFold(moment)
        return
      case 'short':
        this.#isShort = this.#sum.unfolded > 0
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
      this.#goOnSelecting(moment),
      this.#goOnFolding(moment),
      this.#result === 'logged' ? this.#goOnTelling(moment) : this.#goOnClosing(moment),
    ].filter(at => at !== undefined)
    if (wakes.length > 0) this.#effects.push({ kind: 'timer', at: Math.min(...wakes) })
  }

  /**
   * Says once how long devices are waited for. It goes behind what was selected so far: a log that was cut before it selects anew,
   * however late it is.
   */
  #goOnSelecting({ now }: Moment): number | undefined {
    const { closing, selectingUntil, selected, plan } = this.state
    if (this.#readiness !== 'ready' || closing !== undefined || selectingUntil !== undefined) return undefined
    // Everybody is there who is wanted.
    if (selected.size >= plan.select) return undefined
    if (now < this.#roomAt) return this.#roomAt
    this.#append({ kind: 'selecting', until: selectionEnd(this.state, now) })
    return undefined
  }

  #goOnFolding({ now }: Moment): number | undefined {
    const { closing } = this.state
    if (this.#readiness !== 'ready' || this.#result !== 'none') return undefined
    if (this.#sum.fold === undefined) {
      if (this.#sum.unfolded === 0) this.#isShort = false
      const isLast = closing !== undefined && this.#isQuiet() && this.#sum.unfolded > 0
      const isDue = this.#sum.isFoldDue || this.#isShort
      if (!isLast && !isDue) return undefined
      if (now < this.#roomAt) return this.#roomAt
      this.#isShort = false
      this.#sum.beginFold(this.#newest)
    }
    const { fold } = this.#sum
    if (fold?.step !== 'settling') return undefined
    if (!this.#track.isPendingThrough(fold.through) && !this.#sum.isAddingThrough(fold.through)) {
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
    if (!this.#isQuiet() || this.#sum.fold !== undefined || this.#sum.unfolded > 0) return undefined
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
    const known = [...selected.devices()].filter(
      device => this.state.awaits(device) && this.#track.unsettledOf(device) === undefined,
    )
    if (known.length > 0) this.#effects.push({ kind: 'notify', devices: known })
  }

  #select(devices: readonly Candidate[]): void {
    for (let start = 0; start < devices.length; start += devicesPerRecord) {
      const part = devices.slice(start, start + devicesPerRecord).map(({ device, label }) => ({ device, label }))
      this.#append({ kind: 'selected', devices: part })
    }
  }

  #arrive({ request, device, label, eligible, proven }: Event<'arrived'>, moment: Moment): void {
    if (!this.isCollecting(moment)) {
      this.#answer(request, 'nothing')
      return
    }
    if (!this.state.selected.has(device)) {
      const mayCome = proven || (eligible && !selectionIsOver(this.state, moment.now))
      if (!mayCome || moment.now < this.#roomAt) {
        this.#answer(request, 'nothing')
        return
      }
      this.#select([{ device, label }])
    }
    const number = this.#track.unsettledOf(device)
    if (number !== undefined) this.#track.wait(number, { request, device, wants: 'work' })
    else this.#answer(request, this.state.awaits(device) ? 'work' : 'nothing')
  }

  /** Undefined where the answer has to wait for the disk. */
  #partOf(device: string, request: RequestId, moment: Moment): Answer | undefined {
    if (!this.state.selected.has(device)) return 'stranger'
    const number = this.#track.unsettledOf(device)
    if (number !== undefined) {
      this.#track.wait(number, { request, device, wants: 'report' })
      return undefined
    }
    return this.#settledPartOf(device, moment)
  }

  #settledPartOf(device: string, moment: Moment): Answer {
    if (!this.state.awaits(device)) return 'reported'
    const { closing, accepted, plan } = this.state
    // With those who were selected by an earlier epoch there may be more than were planned; the sum has room for the plan.
    if (closing !== undefined || accepted >= plan.select) return 'late'
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
    this.#track.wait(number, { request, device: record.device, wants })
  }

  /** State changes at once, so that goal and plan are never overrun; nobody is told before it is durable. */
  #append(record: AttemptRecord): number {
    this.#newest += 1
    const number = this.#newest
    this.state.apply(record)
    this.#track.append({ number, record })
    this.#effects.push({ kind: 'append', number, record })
    return number
  }

  #settle({ number, record }: TrackedRecord, moment: Moment): void {
    this.state.settle(record)
    switch (record.kind) {
      case 'accepted':
        if (record.weight > 0) {
          this.#sum.count(number, record.bytes)
          this.#begin(this.#sum.want({ number, update: record }))
          return
        }
        this.#effects.push({ kind: 'discard', device: record.device })
        this.#finish(number, record, moment)
        return
      case 'invalid':
        this.#effects.push({ kind: 'discard', device: record.device })
        this.#finish(number, record, moment)
        return
      case 'failed':
        this.#finish(number, record, moment)
        return
      case 'selected':
        this.#end(number, devicesOf(record), moment)
        if (this.isCollecting(moment)) this.#effects.push({ kind: 'notify', devices: devicesOf(record) })
        return
      case 'folded':
        this.#sum.endFold(record.through)
        this.#effects.push({ kind: 'drop', through: record.through })
        return
      case 'summed':
        this.#result = 'logged'
        this.#effects.push({ kind: 'dropAll' })
        return
      case 'opened':
      case 'selecting':
      case 'closing':
        return
    }
  }

  /** The disk had no room for records: what they did is undone, newest first. */
  #takeBack(through: number, moment: Moment): void {
    this.#roomAt = moment.now + roomPollMillis
    for (const { number, record } of this.#track.take(through).reverse()) {
      this.state.revert(record)
      if (record.kind === 'folded') this.#giveUpFold(moment)
      if (record.kind === 'summed') this.#result = 'storing'
      for (const { request } of this.#track.end(number, devicesOf(record))) this.#answer(request, 'full')
    }
  }

  /** Additions that may begin. */
  #begin(additions: readonly { readonly number: number; readonly update: AcceptedUpdate }[]): void {
    for (const addition of additions) this.#effects.push({ kind: 'add', ...addition })
  }

  #giveUpFold({ now }: Moment): void {
    this.#roomAt = now + roomPollMillis
    this.#begin(this.#sum.giveUpFold())
  }

  /** The record of a device is settled. */
  #finish(number: number, ended: { readonly device: string } | undefined, moment: Moment): void {
    this.#end(number, ended === undefined ? [] : [ended.device], moment)
  }

  /** A record is settled: whoever waits for it is told. */
  #end(number: number, devices: readonly string[], moment: Moment): void {
    for (const waiter of this.#track.end(number, devices)) this.#answer(waiter.request, this.#outcome(waiter, moment))
  }

  #outcome({ device, wants }: Waiter, moment: Moment): Answer {
    if (wants === 'report') return this.#settledPartOf(device, moment)
    // Without the lease a receipt would promise what is no longer ours to keep.
    if (wants === 'receipt') return moment.leased ? 'counted' : 'wait'
    return this.isCollecting(moment) && this.state.awaits(device) ? 'work' : 'nothing'
  }

  #answerWith(request: RequestId, answer: Answer | undefined): void {
    if (answer !== undefined) this.#answer(request, answer)
  }

  #answer(request: RequestId, answer: Answer): void {
    this.#effects.push({ kind: 'answer', request, answer })
  }

  #isQuiet(): boolean {
    return this.#track.isEmpty && this.#sum.isQuiet
  }
}
