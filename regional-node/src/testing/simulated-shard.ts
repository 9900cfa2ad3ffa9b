import assert from 'node:assert/strict'
import type { ShardSummed } from '@tributary/contracts/events'
import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import type { AcceptedUpdate, AttemptRecord, FoldedSum } from '../attempt/attempt-records.ts'
import type { Answer, RoundEffect } from '../attempt/round/round-effect.ts'
import type { RoundEvent } from '../attempt/round/round-event.ts'
import { ShardRound } from '../attempt/round/shard-round.ts'

type Effect<Kind extends RoundEffect['kind']> = Extract<RoundEffect, { kind: Kind }>
type Work = Exclude<RoundEffect, { kind: 'append' | 'answer' | 'timer' | 'notify' }>

const sha256 = 'a'.repeat(64)
export const updateOf = (device: string, weight = 1): AcceptedUpdate => ({
  device,
  label: device,
  sha256,
  bytes: 100,
  examples: weight,
  weight,
  seconds: 1,
  metrics: { examples: `${weight}` },
  receipt: `receipt of ${device}`,
})

/**
 * One shard on a disk, a clock and a network that do what the test says, in one thread. A crash loses what is not durable. What
 * must never happen is asserted where it would.
 */
export class SimulatedShard {
  readonly #descriptor: RoundDescriptor
  readonly #plan: ShardPlan
  readonly #candidates: readonly string[]
  now: number
  leased = true
  isDiskFull = false
  /** The running sum is a file, written from the one before and the bodies since. */
  readonly #sumIsFile: boolean
  /** Files that were needed were found damaged: nothing of this epoch can be used any more. */
  isLost = false
  // On the disk.
  log: { number: number; record: AttemptRecord }[] = []
  readonly bodies = new Set<string>()
  readonly #sums = new Map<string, ReadonlySet<string>>()
  readonly #damaged = new Set<string>()
  // Elsewhere, durable.
  stored: ReadonlySet<string> | undefined
  readonly published: ShardSummed[] = []
  readonly receipts = new Set<string>()
  // In memory.
  machine!: ShardRound
  #buffered: Effect<'append'>[] = []
  #work: Work[] = []
  #sum = new Set<string>()
  #calls = new Map<number, { device: string; proven: boolean }>()
  #calling = 0
  /** When the disk last had no room. */
  #fullAt = Number.NEGATIVE_INFINITY
  /** Devices that had to be selected when the shard could serve them. */
  #wanted = 0
  /** From when on devices could come, as far as the disk knows. */
  #servedAt = 0
  timerAt = Number.POSITIVE_INFINITY

  constructor(descriptor: RoundDescriptor, candidates: readonly string[], { sumIsFile = false } = {}) {
    this.#sumIsFile = sumIsFile
    this.#descriptor = descriptor
    this.#plan = descriptor.shards[0] as ShardPlan
    this.#candidates = candidates
    this.now = Date.parse(descriptor.openedAt)
    this.start()
  }

  /** How many things could happen next. */
  get choices(): number {
    return this.#work.length + (this.#buffered.length > 0 ? 1 : 0)
  }

  /** The process begins: from the log, once all that it promises is proven to be there. */
  start(): void {
    this.machine = new ShardRound(this.#descriptor, this.#plan, { updates: 2, bytes: 1e9 })
    for (const { number, record } of this.log) this.machine.replay(number, record)
    if (this.#isWhole(this.needed)) this.step({ kind: 'started' })
  }

  /** Files without which receipts cannot be kept: the log, the sum file on record and the bodies that are not in it. */
  get needed(): string[] {
    const { folded } = this.machine.state
    const done = new Set(this.#accepted(folded?.through ?? 0))
    const bodies = this.#accepted(Number.POSITIVE_INFINITY).filter(
      device => !done.has(device) && this.bodies.has(device),
    )
    const sum = folded !== undefined && this.#sums.has(folded.sum.file) ? [folded.sum.file] : []
    return ['log', ...sum, ...bodies]
  }

  /** A file changes on the disk; whoever reads it finds that. */
  damage(file: string): void {
    this.#damaged.add(file)
  }

  /** `kill -9`. @param kept how many of the records under way reached the disk nonetheless */
  crash(kept: number): void {
    for (const { number, record } of this.#buffered.slice(0, kept)) this.log.push({ number, record })
    this.#buffered = []
    this.#work = []
    this.#sum = new Set()
    this.#calls = new Map()
    this.timerAt = Number.POSITIVE_INFINITY
    this.start()
  }

  step(event: RoundEvent): void {
    for (const effect of this.machine.step(event, { now: this.now, leased: this.leased })) this.#take(effect)
  }

  push(device: string, weight = 1): void {
    if (this.receipts.has(device)) return
    if (!this.machine.state.awaits(device)) {
      this.#call(device, request => ({ kind: 'asked', request, device }))
      return
    }
    this.bodies.add(device)
    this.#call(device, request => ({ kind: 'passed', request, update: updateOf(device, weight) }))
  }

  /** @param proven the device shows a receipt of an earlier epoch of the attempt */
  arrive(device: string, proven = false): void {
    const event = { kind: 'arrived', device, label: device, eligible: !proven, proven } as const
    this.#call(device, request => ({ ...event, request }), proven)
  }

  decline(device: string): void {
    const failure = { device, label: device, code: 'TRAINING_FAILED', detail: '' }
    this.#call(device, request => ({ kind: 'declined', request, failure }))
  }

  tick(millis: number): void {
    this.now += millis
    if (this.now >= this.timerAt) {
      this.timerAt = Number.POSITIVE_INFINITY
      this.step({ kind: 'moment' })
    }
  }

  /** Lets one of the things happen that are under way. */
  happen(choice: number): void {
    const [work] = this.#work.splice(choice, 1)
    if (work === undefined) this.#flush()
    else this.#perform(work)
  }

  #call(device: string, event: (request: number) => RoundEvent, proven = false): void {
    this.#calling += 1
    this.#calls.set(this.#calling, { device, proven })
    this.step(event(this.#calling))
  }

  #take(effect: RoundEffect): void {
    switch (effect.kind) {
      case 'append':
        this.#buffered.push(effect)
        if (effect.record.kind === 'closing') this.#expectSelection()
        return
      case 'answer': {
        const call = this.#calls.get(effect.request)
        if (call?.proven) this.#expectWork(call.device, effect.answer)
        this.#hear(call?.device as string, effect.answer)
        return
      }
      case 'timer':
        this.timerAt = effect.at
        return
      case 'notify':
        for (const device of effect.devices) this.#expectRecord(device, 'selected')
        return
      default:
        this.#work.push(effect)
    }
  }

  /** What a device is told must be on the disk. */
  #hear(device: string, answer: Answer): void {
    if (answer === 'work') this.#expectRecord(device, 'selected')
    if (answer !== 'counted' && answer !== 'reported') return
    const report = this.log.find(({ record }) => 'device' in record && record.device === device)
    assert.ok(report !== undefined, `${device} was told ${answer} of what is not durable`)
    if (report.record.kind !== 'accepted') return
    this.receipts.add(device)
    if (answer === 'counted') assert.ok(this.leased, 'a receipt without the lease')
  }

  /** However late the shard was taken over: who is there is selected before it closes, and others are waited for; only the deadline ends that. */
  #expectSelection(): void {
    if (this.now >= Date.parse(this.#descriptor.deadline) || this.#fullAt > Number.NEGATIVE_INFINITY) return
    const { selected, accepted } = this.machine.state
    assert.ok(selected.size >= this.#wanted, `closed with ${selected.size} devices, though ${this.#wanted} were there`)
    if (selected.size >= this.#plan.select || accepted >= this.#plan.goal) return
    const { openedAt, selectionDeadline } = this.#descriptor
    const waited = this.now - this.#servedAt
    const wait = Date.parse(selectionDeadline) - Date.parse(openedAt)
    assert.ok(waited >= wait, `closed after ${waited} ms, though others might have come for ${wait} ms`)
  }

  /** Who was selected by an earlier epoch has work until the shard closes. */
  #expectWork(device: string, answer: Answer): void {
    const { selected } = this.machine.state
    const isOver = !this.machine.isCollecting({ leased: this.leased }) || this.now - this.#fullAt <= 1000
    const hasReported = selected.has(device) && !this.machine.state.awaits(device)
    assert.ok(answer === 'work' || isOver || hasReported, `${device} shows its receipt and is told ${answer}`)
  }

  #expectRecord(device: string, kind: 'selected'): void {
    const found = this.log.some(
      ({ record }) => record.kind === kind && record.devices.some(selected => selected.device === device),
    )
    assert.ok(found, `${device} was told of work that is not durable`)
  }

  #flush(): void {
    const group = this.#buffered
    this.#buffered = []
    const last = group.at(-1)
    if (last === undefined) return
    if (this.isDiskFull) {
      this.#fullAt = this.now
      this.step({ kind: 'unwritten', through: last.number })
      return
    }
    for (const { number, record } of group) this.log.push({ number, record })
    this.step({ kind: 'durable', through: last.number })
  }

  #accepted(through: number): string[] {
    return this.log.flatMap(({ number, record }) =>
      record.kind === 'accepted' && record.weight > 0 && number <= through ? record.device : [],
    )
  }

  #isWhole(files: readonly string[]): boolean {
    if (files.some(file => this.#damaged.has(file))) this.isLost = true
    return !this.isLost
  }

  /** What the work reads from the disk. */
  #readBy(effect: Work): readonly string[] {
    const { folded } = this.machine.state
    const files = this.needed.filter(file => file !== 'log')
    switch (effect.kind) {
      case 'prepare':
        return files
      case 'add':
        return this.#sumIsFile ? [] : [effect.update.device]
      case 'fold':
        return this.#sumIsFile ? files : []
      case 'store':
        return folded === undefined ? [] : [folded.sum.file]
      default:
        return []
    }
  }

  #perform(effect: Work): void {
    if (!this.#isWhole(this.#readBy(effect))) return
    switch (effect.kind) {
      case 'prepare': {
        const { folded } = this.machine.state
        const sum = folded === undefined ? undefined : this.#sums.get(folded.sum.file)
        assert.ok(folded === undefined || sum !== undefined, 'the sum file on record is gone')
        this.#sum = new Set(sum)
        for (const { number, record } of this.log) {
          if (record.kind !== 'accepted' || record.weight === 0 || number <= (folded?.through ?? 0)) continue
          this.#addBody(record.device)
        }
        if (this.now < Date.parse(this.#descriptor.deadline))
          this.#wanted = Math.min(this.#plan.select, this.#candidates.length)
        if (this.log.every(({ record }) => record.kind !== 'selecting')) this.#servedAt = this.now
        this.step({ kind: 'prepared', candidates: this.#candidates.map(device => ({ device, label: device })) })
        return
      }
      case 'add':
        this.#addBody(effect.update.device)
        this.step({ kind: 'added', number: effect.number })
        return
      case 'discard':
        this.bodies.delete(effect.device)
        return
      case 'fold': {
        if (this.isDiskFull) {
          this.#fullAt = this.now
          this.step({ kind: 'unfolded' })
          return
        }
        assert.deepEqual([...this.#sum].sort(), this.#accepted(effect.through).sort(), 'a fold of other updates')
        const file = `sum.${effect.through}`
        this.#sums.set(file, new Set(this.#sum))
        const updates = this.#sum.size
        const sum: FoldedSum = { file, sha256, bytes: 1, updates, weight: `${updates}`, salt: sha256 }
        this.step({ kind: 'folded', through: effect.through, sum })
        return
      }
      case 'drop': {
        for (const device of this.#accepted(effect.through)) this.bodies.delete(device)
        for (const file of [...this.#sums.keys()]) if (Number(file.slice(4)) < effect.through) this.#sums.delete(file)
        return
      }
      case 'store': {
        const { folded, accepted } = this.machine.state
        assert.equal(folded?.sum.updates ?? 0, accepted)
        this.stored = folded === undefined ? new Set() : (this.#sums.get(folded.sum.file) as ReadonlySet<string>)
        this.step({ kind: 'stored', event: this.#summed() })
        return
      }
      case 'dropAll':
        this.bodies.clear()
        this.#sums.clear()
        return
      case 'publish':
        assert.ok(this.log.some(({ record }) => record.kind === 'summed'))
        this.published.push(effect.event)
        this.step({ kind: 'published' })
        return
    }
  }

  #addBody(device: string): void {
    assert.ok(this.bodies.has(device), `the body of ${device} is gone before it is in a sum file`)
    assert.equal(this.#sum.has(device), false, `${device} is added twice`)
    this.#sum.add(device)
  }

  #summed(): ShardSummed {
    const { accepted, empty, selected, metrics, plan } = this.machine.state
    const { region, shard, epoch } = plan
    const participation = { objectKey: 'p', sha256, bytes: 1 }
    const counts = { weight: `${accepted}`, accepted, empty, selected: selected.size, metrics: metrics.sums }
    return { ...this.machine.ref, region, shard, epoch, node: '', sum: null, participation, ...counts }
  }
}
