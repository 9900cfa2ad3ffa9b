import type { ShardSummed } from '@tributary/contracts/events'
import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import { judgeAttempt } from '@tributary/functions/rounds/judge-attempt'
import { planAttempt } from '@tributary/functions/rounds/plan-attempt'
import { sampleDescriptor } from '@tributary/regional-node/testing/sample-round'
import { sumOver, versionOf } from './exact-sum.ts'
import type { History } from './history.ts'
import { devicesOf, regions, type Scenario, shardsPerRegion } from './scenario.ts'

const leaseMillis = 20_000
const graceMillis = 15_000
const mergeAgainMillis = 10_000
const mostAttempts = 6
const task = '01900000-0000-7000-8000-00000000aaaa'

type Lease = { node: string; epoch: number; expiresAt: number }
type AttemptShard = { plan: ShardPlan; event?: ShardSummed }
type Attempt = {
  readonly key: string
  readonly round: number
  readonly descriptor: RoundDescriptor
  readonly shards: AttemptShard[]
  state: 'open' | 'closing' | 'committed' | 'abandoned'
  mergeAt: number
}
export type TaskState = 'running' | 'paused' | 'completed' | 'failed' | 'cancelled'

export type StatusAnswer = {
  readonly leases: readonly { readonly shard: number; readonly epoch: number }[]
  readonly attempts: readonly RoundDescriptor[]
  readonly settled: readonly string[]
}
export type Command =
  | { readonly kind: 'opened'; readonly descriptor: RoundDescriptor }
  | { readonly kind: 'settled'; readonly attempt: string }

/**
 * Central as DESIGN section 5 has it, with the rules of the functions for plan and judgement and one task. Every method is one
 * transaction. It sends by the callbacks and never hears whether that arrived.
 */
export class SimulatedCentral {
  readonly #scenario: Scenario
  readonly #history: History
  readonly #command: (region: string, command: Command) => void
  readonly #merge: (attempt: string) => void
  readonly #leases = new Map<string, Lease>()
  readonly #seen = new Map<string, { region: string; at: number }>()
  readonly attempts: Attempt[] = []
  state: TaskState = 'running'
  #version = 'start'

  constructor(
    scenario: Scenario,
    history: History,
    send: { command: (region: string, command: Command) => void; merge: (attempt: string) => void },
  ) {
    this.#scenario = scenario
    this.#history = history
    this.#command = send.command
    this.#merge = send.merge
  }

  get live(): Attempt | undefined {
    const last = this.attempts.at(-1)
    return last?.state === 'open' || last?.state === 'closing' ? last : undefined
  }

  get isOver(): boolean {
    return this.state !== 'running' && this.state !== 'paused'
  }

  /** Whether nobody else may take the shard. */
  holds(node: string, region: string, shard: number, epoch: number, now: number): boolean {
    const lease = this.#leases.get(`${region}/${shard}`)
    return lease?.node === node && lease.epoch === epoch && lease.expiresAt > now
  }

  status(
    node: string,
    region: string,
    listed: ReadonlyMap<number, number>,
    holding: readonly string[],
    now: number,
  ): StatusAnswer {
    this.#seen.set(node, { region, at: now })
    const living = [...this.#seen.values()].filter(seen => seen.region === region && now - seen.at < leaseMillis).length
    let room = Math.ceil(shardsPerRegion / living) - this.#heldBy(node, now)
    const leases: { shard: number; epoch: number }[] = []
    for (let shard = 0; shard < shardsPerRegion; shard += 1) {
      const lease = this.#leases.get(`${region}/${shard}`)
      const isMine = lease?.node === node
      if (!isMine && ((lease !== undefined && lease.expiresAt > now) || room <= 0)) continue
      if (!isMine) room -= 1
      const isKept = isMine && listed.get(shard) === lease.epoch
      const epoch = isKept ? lease.epoch : (lease?.epoch ?? 0) + 1
      this.#leases.set(`${region}/${shard}`, { node, epoch, expiresAt: now + leaseMillis })
      if (!isKept) this.#repin(region, shard, epoch)
      leases.push({ shard, epoch })
    }
    this.dueWork(now)
    const { live } = this
    const plans = live?.shards
      .map(({ plan }) => plan)
      .filter(plan => plan.region === region && leases.some(({ shard }) => shard === plan.shard))
    return {
      leases,
      attempts: live === undefined || !plans?.length ? [] : [{ ...live.descriptor, shards: plans }],
      settled: holding.filter(key => key !== live?.key),
    }
  }

  /** The event consumer: the first of the pinned epoch counts. */
  summed(event: ShardSummed, now: number): void {
    const { live } = this
    if (live?.state !== 'open' || attemptKey(event) !== live.key) return
    const found = live.shards.find(({ plan }) => plan.region === event.region && plan.shard === event.shard)
    if (found === undefined || found.event !== undefined || found.plan.epoch !== event.epoch) return
    found.event = event
    this.dueWork(now)
  }

  merge(key: string, now: number): void {
    const { live } = this
    if (live?.key !== key || live.state !== 'closing' || this.state !== 'running') return
    const summed = live.shards.flatMap(({ plan, event }) => (event === undefined ? [] : { plan, event }))
    const devices = summed.flatMap(({ event }) => [...this.#history.object(key, event)])
    const [base, { round, descriptor }] = [this.#version, live]
    this.#version = versionOf(base, sumOver(devices, round))
    const parts = summed.map(({ plan }) => plan)
    this.#history.commits.push({ attempt: key, round, descriptor, base, version: this.#version, parts })
    this.#settle(live, 'committed')
    if (round === this.#scenario.rounds) this.state = 'completed'
    this.dueWork(now)
  }

  pause(): void {
    if (this.state !== 'running') return
    this.state = 'paused'
    if (this.live !== undefined) this.#settle(this.live, 'abandoned')
  }

  resume(now: number): void {
    if (this.state !== 'paused') return
    this.state = 'running'
    this.dueWork(now)
  }

  cancel(): void {
    if (this.isOver) return
    this.state = 'cancelled'
    if (this.live !== undefined) this.#settle(this.live, 'abandoned')
  }

  dueWork(now: number): void {
    if (this.state !== 'running') return
    const { live } = this
    if (live === undefined) this.#openNext(now)
    else if (live.state === 'closing') {
      if (now >= live.mergeAt) this.#startMerge(live, now)
    } else if (
      live.shards.every(({ event }) => event !== undefined) ||
      now >= Date.parse(live.descriptor.deadline) + graceMillis
    )
      this.#decide(live, now)
  }

  #decide(live: Attempt, now: number): void {
    const events = live.shards.flatMap(({ event }) => event ?? [])
    const total = (of: (event: ShardSummed) => number): number => events.reduce((sum, event) => sum + of(event), 0)
    const weight = events.reduce((sum, { metrics }) => sum + BigInt(metrics.examples ?? '0'), 0n)
    const tally = {
      missing: live.shards.length - events.length,
      accepted: total(({ accepted }) => accepted),
      empty: total(({ empty }) => empty),
      weight,
    }
    if (judgeAttempt(tally, this.#scenario.quorum) === null) {
      live.state = 'closing'
      this.#startMerge(live, now)
      return
    }
    this.#settle(live, 'abandoned')
    const attempts = this.attempts.filter(({ round }) => round === live.round).length
    if (attempts >= mostAttempts) this.state = 'failed'
    else this.dueWork(now)
  }

  #startMerge(live: Attempt, now: number): void {
    live.mergeAt = now + mergeAgainMillis
    this.#merge(live.key)
  }

  #settle(attempt: Attempt, state: 'committed' | 'abandoned'): void {
    attempt.state = state
    for (const region of regions) this.#command(region, { kind: 'settled', attempt: attempt.key })
  }

  #openNext(now: number): void {
    const { fraction, overSelection, quorum } = this.#scenario
    const capacities = [...this.#leases].flatMap(([name, { epoch, expiresAt }]) => {
      if (expiresAt <= now) return []
      const [region = '', shard = ''] = name.split('/')
      const eligible = devicesOf(region, Number(shard)).length
      return { region, shard: Number(shard), epoch, online: eligible, eligible }
    })
    const size = { goal: null, fraction, overSelection, quorum, minimumToStart: quorum }
    const plan = planAttempt(size as never, capacities)
    if (plan.kind === 'wait') return
    const round = this.#history.commits.length + 1
    const attempt = this.attempts.filter(known => known.round === round).length + 1
    const ref: AttemptRef = { task, round, attempt }
    const at = (seconds: number): string => new Date(now + seconds * 1000).toISOString()
    const descriptor = {
      ...sampleDescriptor(now),
      ...ref,
      openedAt: at(0),
      selectionDeadline: at(10),
      deadline: at(70),
      shards: [...plan.shards],
    }
    const key = attemptKey(ref)
    const shards = plan.shards.map(shard => ({ plan: shard }))
    this.attempts.push({ key, round, descriptor, shards, state: 'open', mergeAt: 0 })
    for (const region of regions) {
      const own = plan.shards.filter(shard => shard.region === region)
      if (own.length > 0) this.#command(region, { kind: 'opened', descriptor: { ...descriptor, shards: own } })
    }
  }

  #repin(region: string, shard: number, epoch: number): void {
    const found = this.live?.shards.find(({ plan }) => plan.region === region && plan.shard === shard)
    if (found !== undefined && found.event === undefined) found.plan = { ...found.plan, epoch }
  }

  #heldBy(node: string, now: number): number {
    return [...this.#leases.values()].filter(lease => lease.node === node && lease.expiresAt > now).length
  }
}
