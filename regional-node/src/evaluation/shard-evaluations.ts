import type { EvaluationDescriptor } from '@tributary/contracts/round'
import type { AttemptContext } from '../attempt/attempt-context.ts'
import type { ShardFolders } from '../attempt/shard-folders.ts'
import { removeFolder } from '../log/durable-files.ts'
import { LogEmptyError } from '../log/log-corrupt-error.ts'
import type { LogKey } from '../log/log-key.ts'
import { isNoRoom } from '../log/no-room-error.ts'
import { ShardEvaluation } from './shard-evaluation.ts'

type Slot = {
  readonly id: string
  readonly shard: number
  readonly opening: Promise<ShardEvaluation>
  evaluation?: ShardEvaluation
}

const mostSettled = 10_000

/** The evaluations that this node plays a part in. */
export class ShardEvaluations {
  readonly #context: AttemptContext
  readonly #folders: ShardFolders
  readonly #slots = new Map<string, Slot>()
  readonly #settled = new Set<string>()

  constructor(context: AttemptContext, folders: ShardFolders) {
    this.#context = context
    this.#folders = folders
  }

  /** @throws Error where a log is damaged: the shard's data is then void as a whole */
  async replay(shard: number, epoch: number, key: LogKey): Promise<void> {
    for (const name of await this.#folders.names(shard, epoch, 'evaluations')) {
      const folder = this.#folders.path(shard, epoch, 'evaluations', name)
      let evaluation: ShardEvaluation
      try {
        evaluation = await ShardEvaluation.open(folder, name, this.#context, key)
      } catch (error) {
        if (!(error instanceof LogEmptyError)) throw error
        // The node died before the opening was durable: nobody was told of it.
        await removeFolder(folder)
        continue
      }
      const id = evaluation.descriptor.evaluation
      this.#slots.set(`${id}/${shard}`, { id, shard, opening: Promise.resolve(evaluation), evaluation })
    }
  }

  /** As for attempts: idempotent, durable when resolved; true where a lease newer than ours is named. */
  async reconcile(descriptor: EvaluationDescriptor): Promise<boolean> {
    let behind = false
    for (const plan of descriptor.shards) {
      // Of a shard whose data is still sealed nothing is known: central is asked again.
      const epoch = this.#folders.keyOf(plan.shard) && this.#folders.epochOf(plan.shard)
      if (epoch === undefined || plan.epoch > epoch) behind = true
      else if (plan.epoch === epoch && !this.#settled.has(descriptor.evaluation)) {
        const evaluation = await this.#take({ ...descriptor, shards: [plan] }, plan.shard, epoch)
        if (this.#context.leases.epochOf(plan.shard) === epoch) evaluation?.start()
      }
    }
    return behind
  }

  find(id: string, shard: number): ShardEvaluation | undefined {
    return this.#slots.get(`${id}/${shard}`)?.evaluation
  }

  isSettled(id: string): boolean {
    return this.#settled.has(id)
  }

  ofShard(shard: number): ShardEvaluation[] {
    return [...this.#slots.values()].flatMap(slot =>
      slot.shard === shard && slot.evaluation !== undefined ? slot.evaluation : [],
    )
  }

  get holding(): string[] {
    return [...new Set([...this.#slots.values()].map(({ id }) => id))]
  }

  leased(shard: number): void {
    for (const evaluation of this.ofShard(shard)) evaluation.start()
  }

  presenceChanged(shard: number): void {
    for (const evaluation of this.ofShard(shard)) evaluation.evaluate()
  }

  async settle(id: string): Promise<void> {
    this.#settled.add(id)
    const [oldest] = this.#settled
    if (this.#settled.size > mostSettled && oldest !== undefined) this.#settled.delete(oldest)
    await this.#endWhere(
      slot => slot.id === id,
      evaluation => evaluation.drop(),
    )
  }

  async settleTask(task: string): Promise<void> {
    const ids = [...this.#slots.values()].filter(slot => slot.evaluation?.descriptor.task === task).map(({ id }) => id)
    await Promise.all(ids.map(id => this.settle(id)))
  }

  /** A shard's data is void. Its folder goes as a whole. */
  voidShard(shard: number): Promise<void> {
    return this.#endWhere(
      slot => slot.shard === shard,
      evaluation => evaluation.close(),
    )
  }

  async close(): Promise<void> {
    await Promise.all([...this.#slots.values()].map(async ({ opening }) => (await opening).close()))
  }

  #keyOf(shard: number): LogKey {
    const key = this.#folders.keyOf(shard)
    if (key === undefined) throw new Error(`the data of shard ${shard} is sealed`)
    return key
  }

  async #endWhere(
    matches: (slot: Slot) => boolean,
    end: (evaluation: ShardEvaluation) => Promise<void>,
  ): Promise<void> {
    await Promise.all(
      [...this.#slots].map(async ([key, slot]) => {
        if (!matches(slot)) return
        this.#slots.delete(key)
        const evaluation = await slot.opening.catch(() => undefined)
        if (evaluation !== undefined) await end(evaluation)
      }),
    )
  }

  async #take(descriptor: EvaluationDescriptor, shard: number, epoch: number): Promise<ShardEvaluation | undefined> {
    const key = `${descriptor.evaluation}/${shard}`
    const known = this.#slots.get(key)
    if (known !== undefined) return known.opening.catch(() => undefined)
    const folder = this.#folders.path(shard, epoch, 'evaluations', descriptor.evaluation)
    const opened = { descriptor, shard, epoch }
    const opening = ShardEvaluation.open(folder, descriptor.evaluation, this.#context, this.#keyOf(shard), opened)
    const slot: Slot = { id: descriptor.evaluation, shard, opening }
    this.#slots.set(key, slot)
    try {
      slot.evaluation = await opening
    } catch (error) {
      this.#slots.delete(key)
      if (!isNoRoom(error)) throw error
      // Other work goes on; central names the evaluation again with its next answer.
      this.#context.room.noteFull(error)
      return undefined
    }
    return this.#slots.get(key) === slot ? slot.evaluation : undefined
  }
}
