import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { ShardProgress } from '@tributary/contracts/node-status'
import type { AttemptOutcome, RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import { removeFolder } from '../log/durable-files.ts'
import { LogEmptyError } from '../log/log-corrupt-error.ts'
import type { LogKey } from '../log/log-key.ts'
import { isNoRoom } from '../log/no-room-error.ts'
import type { AttemptContext } from './attempt-context.ts'
import type { SettledMemory } from './settled-memory.ts'
import { ShardAttempt } from './shard-attempt.ts'
import type { ShardFolders } from './shard-folders.ts'

type Slot = {
  readonly ref: AttemptRef
  readonly shard: number
  readonly epoch: number
  readonly opening: Promise<ShardAttempt>
  /** Once it is open. */
  attempt?: ShardAttempt
}

const slotKey = (ref: AttemptRef, shard: number): string => `${attemptKey(ref)}/${shard}`
const folderName = ({ task, round, attempt }: AttemptRef): string => `${task}.${round}.${attempt}`

/** The attempts that this node plays a part in. */
export class ShardAttempts {
  readonly #context: AttemptContext
  readonly #folders: ShardFolders
  readonly #settled: SettledMemory
  readonly #slots = new Map<string, Slot>()

  constructor(context: AttemptContext, folders: ShardFolders, settled: SettledMemory) {
    this.#context = context
    this.#folders = folders
    this.#settled = settled
  }

  /**
   * Rebuilds the attempts of a shard from their logs.
   * @throws Error where a log is damaged or its key gone: the shard's data is then void as a whole
   */
  async replay(shard: number, epoch: number, key: LogKey): Promise<void> {
    for (const name of await this.#folders.names(shard, epoch, 'attempts')) {
      const folder = this.#folders.path(shard, epoch, 'attempts', name)
      let attempt: ShardAttempt
      try {
        attempt = await ShardAttempt.open({ folder, name, key }, this.#context)
      } catch (error) {
        if (!(error instanceof LogEmptyError)) throw error
        // The node died before the opening was durable: nobody was told of it.
        await removeFolder(folder)
        continue
      }
      const { ref } = attempt
      this.#slots.set(slotKey(ref, shard), { ref, shard, epoch, opening: Promise.resolve(attempt), attempt })
    }
  }

  /**
   * Takes up an attempt, as an edge (`round.opened`) or as the level (`status`) tells it: any number of times, in any order.
   * Resolves once it is durable. True where a lease newer than ours is named: ask central.
   */
  async reconcile(descriptor: RoundDescriptor): Promise<boolean> {
    let behind = false
    for (const plan of descriptor.shards) {
      // Of a shard whose data is still sealed nothing is known: central is asked again.
      const epoch = this.#folders.keyOf(plan.shard) && this.#folders.epochOf(plan.shard)
      if (epoch === undefined || plan.epoch > epoch) behind = true
      // A plan with an older epoch than the lease was summed under that epoch: nothing is left to do.
      else if (plan.epoch === epoch && this.#settled.outcomeOf(descriptor) === undefined) {
        const attempt = await this.#take(descriptor, plan)
        if (this.#context.leases.epochOf(plan.shard) === epoch) attempt?.start()
      }
    }
    return behind
  }

  /** The attempt in a shard, or undefined where this node plays no part in it. */
  find(ref: AttemptRef, shard: number): ShardAttempt | undefined {
    return this.#slots.get(slotKey(ref, shard))?.attempt
  }

  /** Attempts in a shard, those that opened first to the front. */
  ofShard(shard: number): ShardAttempt[] {
    return this.#open()
      .filter(attempt => attempt.state.plan.shard === shard)
      .sort((a, b) => (a.state.descriptor.openedAt < b.state.descriptor.openedAt ? -1 : 1))
  }

  has(ref: AttemptRef): boolean {
    const prefix = `${attemptKey(ref)}/`
    return [...this.#slots.keys()].some(key => key.startsWith(prefix))
  }

  get holding(): AttemptRef[] {
    const refs = new Map([...this.#slots.values()].map(({ ref }) => [attemptKey(ref), ref]))
    return [...refs.values()]
  }

  get progress(): ShardProgress[] {
    return this.#open().map(({ progress }) => progress)
  }

  /** Starts what a renewed lease lets go on. */
  leased(shard: number): void {
    for (const attempt of this.ofShard(shard)) attempt.start()
  }

  /** The attempt is over: devices are told, nothing is kept. */
  async settle(ref: AttemptRef, outcome: AttemptOutcome): Promise<void> {
    this.#settled.settled(ref, outcome)
    const prefix = `${attemptKey(ref)}/`
    await Promise.all(
      [...this.#slots]
        .filter(([key]) => key.startsWith(prefix))
        .map(async ([key, { opening }]) => {
          this.#slots.delete(key)
          const attempt = await opening.catch(() => undefined)
          if (attempt === undefined) return
          this.#context.notify(attempt.state.selected.devices(), { kind: 'settled', attempt: ref })
          await attempt.drop()
        }),
    )
  }

  /** Nothing of the task is wanted any more, nor will be. */
  async cancelTask(task: string): Promise<void> {
    this.#settled.cancelled(task)
    await Promise.all(this.holding.filter(ref => ref.task === task).map(ref => this.settle(ref, 'cancelled')))
  }

  /** A shard's data is void: another epoch was leased, or it is damaged. Its folder goes as a whole. */
  async voidShard(shard: number): Promise<void> {
    await Promise.all(
      [...this.#slots]
        .filter(([, slot]) => slot.shard === shard)
        .map(async ([key, { opening }]) => {
          this.#slots.delete(key)
          await (await opening.catch(() => undefined))?.close()
        }),
    )
  }

  async close(): Promise<void> {
    await Promise.all([...this.#slots.values()].map(async ({ opening }) => (await opening).close()))
  }

  /** The disk is short of room: what can be folded is. */
  relieve(): void {
    for (const attempt of this.#open()) attempt.relieve()
  }

  #keyOf(shard: number): LogKey {
    const key = this.#folders.keyOf(shard)
    if (key === undefined) throw new Error(`the data of shard ${shard} is sealed`)
    return key
  }

  #open(): ShardAttempt[] {
    return [...this.#slots.values()].flatMap(({ attempt }) => attempt ?? [])
  }

  async #take(descriptor: RoundDescriptor, plan: ShardPlan): Promise<ShardAttempt | undefined> {
    const { task, round, attempt: number } = descriptor
    const ref = { task, round, attempt: number }
    const key = slotKey(ref, plan.shard)
    const known = this.#slots.get(key)
    if (known !== undefined) return known.opening.catch(() => undefined)
    const name = folderName(ref)
    const folder = this.#folders.path(plan.shard, plan.epoch, 'attempts', name)
    const own = { ...descriptor, shards: [plan] }
    const home = { folder, name, key: this.#keyOf(plan.shard) }
    const opening = ShardAttempt.open(home, this.#context, { descriptor: own, plan })
    const slot: Slot = { ref, shard: plan.shard, epoch: plan.epoch, opening }
    this.#slots.set(key, slot)
    try {
      slot.attempt = await opening
    } catch (error) {
      this.#slots.delete(key)
      if (!isNoRoom(error)) throw error
      // Other tasks go on; central names the attempt again with its next answer.
      this.#context.room.noteFull(error)
      return undefined
    }
    // Settled while it was opened: whoever settled it drops it.
    return this.#slots.get(key) === slot ? slot.attempt : undefined
  }
}
