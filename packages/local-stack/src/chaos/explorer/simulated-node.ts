import assert from 'node:assert/strict'
import type { ShardSummed } from '@tributary/contracts/events'
import { attemptKey } from '@tributary/contracts/ids'
import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import { SimulatedShard } from '@tributary/regional-node/testing/simulated-shard'
import type { SimulatedCentral, StatusAnswer } from './central.ts'
import type { History } from './history.ts'
import { devicesOf } from './scenario.ts'

/** A node stops by itself so long after the last renewal, by its own clock. */
const ownLeaseMillis = 13_000

/** A shard's part of an attempt on a node: its log, bodies and machine. */
export class Host {
  readonly attempt: string
  readonly plan: ShardPlan
  readonly shard: SimulatedShard
  readonly #selectionDeadline: number
  #published = 0
  #stored: ReadonlySet<string> | undefined

  constructor(descriptor: RoundDescriptor, plan: ShardPlan, { sumIsFile }: { readonly sumIsFile: boolean }) {
    this.attempt = attemptKey(descriptor)
    this.plan = plan
    this.#selectionDeadline = Date.parse(descriptor.selectionDeadline)
    const candidates = devicesOf(plan.region, plan.shard).map(({ id }) => id)
    this.shard = new SimulatedShard({ ...descriptor, shards: [plan] }, candidates.slice(0, 3), { sumIsFile })
  }

  /** Whether it is collecting, has given receipts, and no plan of the first holder would let anybody come any more. */
  isPastSelection(now: number): boolean {
    const { shard } = this
    return now > this.#selectionDeadline && shard.receipts.size > 0 && shard.machine.state.closing === undefined
  }

  /** What went out since it was last asked. */
  observe(history: History, publish: (event: ShardSummed) => void): void {
    for (const device of this.shard.receipts) history.receipt(this.attempt, this.plan, device)
    if (this.shard.stored !== this.#stored) {
      this.#stored = this.shard.stored
      history.stored(this.attempt, this.plan, new Set(this.#stored))
    }
    for (const event of this.shard.published.slice(this.#published)) publish(event)
    this.#published = this.shard.published.length
  }
}

/** A regional node: what it knows of leases, and the logs on its disk. */
export class SimulatedNode {
  readonly id: string
  readonly region: string
  /** How wrong its idea of central's clock is. */
  readonly offset: number
  readonly hosts = new Map<string, Host>()
  /** Epochs whose logs are on the disk. */
  readonly epochs = new Map<number, number>()
  readonly #leases = new Map<number, { epoch: number; renewedAt: number }>()
  readonly #settled = new Set<string>()
  readonly #sumIsFile: boolean
  /** Newest epoch of a shard whose data was found damaged. */
  readonly #condemned = new Map<number, number>()
  /** Dead or stopped until then. */
  absentUntil = 0
  calledAt = Number.NEGATIVE_INFINITY
  calls = 0

  constructor(
    id: string,
    region: string,
    { offset, sumIsFile }: { readonly offset: number; readonly sumIsFile: boolean },
  ) {
    this.id = id
    this.region = region
    this.offset = offset
    this.#sumIsFile = sumIsFile
  }

  /** Not any more once its shard is void or its attempt settled. */
  isHosting(host: Host): boolean {
    return this.hosts.get(`${host.attempt}/${host.plan.shard}`) === host
  }

  isLeased(shard: number, epoch: number, now: number): boolean {
    const lease = this.#leases.get(shard)
    return lease !== undefined && lease.epoch === epoch && now - lease.renewedAt < ownLeaseMillis
  }

  /** Brings clock and lease of a shard up to now. I5: whoever thinks that it holds a lease does. */
  touch(host: Host, now: number, central: SimulatedCentral): void {
    const { shard, epoch } = host.plan
    host.shard.leased = this.isLeased(shard, epoch, now)
    if (host.shard.leased)
      assert.ok(central.holds(this.id, this.region, shard, epoch, now), `I5: ${this.id} holds shard ${shard} in vain`)
    host.shard.tick(Math.max(0, now + this.offset - host.shard.now))
  }

  /** `kill -9`: leases, what it remembers and calls are gone. @param kept records under way that reached the disk */
  crash(kept: number): void {
    this.#leases.clear()
    this.#settled.clear()
    this.#condemned.clear()
    this.calls += 1
    for (const host of this.hosts.values()) {
      host.shard.leased = false
      host.shard.crash(kept)
    }
    this.voidLost()
  }

  /** Shards whose data was found damaged are void; others go on. */
  voidLost(): void {
    for (const { plan, shard } of this.hosts.values()) {
      if (!shard.isLost) continue
      this.#leases.delete(plan.shard)
      this.epochs.delete(plan.shard)
      this.#condemned.set(plan.shard, plan.epoch)
      this.#void(plan.shard)
    }
  }

  loseDisk(): void {
    this.hosts.clear()
    this.epochs.clear()
  }

  open(descriptor: RoundDescriptor): void {
    for (const plan of descriptor.shards) {
      const key = attemptKey(descriptor)
      const name = `${key}/${plan.shard}`
      if (this.epochs.get(plan.shard) !== plan.epoch || this.#settled.has(key) || this.hosts.has(name)) continue
      if (this.#leases.get(plan.shard)?.epoch === plan.epoch)
        this.hosts.set(name, new Host(descriptor, plan, { sumIsFile: this.#sumIsFile }))
    }
  }

  settle(attempt: string): void {
    this.#settled.add(attempt)
    for (const [name, host] of this.hosts) if (host.attempt === attempt) this.hosts.delete(name)
  }

  /** @param sentAt when the call was made: from then on the lease runs */
  hear({ leases, attempts, settled }: StatusAnswer, sentAt: number): void {
    this.#leases.clear()
    for (const { shard, epoch } of leases) {
      // Renewed while its data was found damaged: begun anew, it would lack what has receipts.
      if (epoch <= (this.#condemned.get(shard) ?? 0)) continue
      if (this.epochs.get(shard) !== epoch) this.#void(shard)
      this.epochs.set(shard, epoch)
      this.#leases.set(shard, { epoch, renewedAt: sentAt })
    }
    for (const attempt of settled) this.settle(attempt)
    for (const descriptor of attempts) this.open(descriptor)
  }

  #void(shard: number): void {
    for (const [name, host] of this.hosts) if (host.plan.shard === shard) this.hosts.delete(name)
  }
}
