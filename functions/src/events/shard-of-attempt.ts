import type { ShardSummed } from '@tributary/contracts/events'
import type { Transaction } from '../database/transaction.ts'
import { lockTask, type TaskRow } from '../tasks/task-row.ts'
import { UnusableEventError } from './unusable-event-error.ts'

type ShardRef = Pick<ShardSummed, 'task' | 'round' | 'attempt' | 'region' | 'shard' | 'epoch' | 'node'>

/** A shard's part in an attempt as central knows it. */
export type ShardRow = {
  readonly state: string
  readonly epoch: number
  readonly live: boolean
  readonly maxUpdates: number
  readonly largestWeight: number
}

/**
 * Locks the task, then the shard that an event speaks of.
 * @returns undefined when the event has no effect any more: the attempt is settled or closing, the shard has reported, or
 *   the event is of another epoch (only the holder of the pinned epoch changes a shard's part)
 * @throws UnusableEventError when the event names what never existed, or comes from a node of another region
 */
export const lockShardOfAttempt = async (
  sql: Transaction,
  ref: ShardRef,
): Promise<{ task: TaskRow; shard: ShardRow } | undefined> => {
  const task = await lockTask(sql, ref.task)
  const [shard] = await sql<ShardRow[]>`
    select s.state, s.epoch, a.state in ('open', 'collecting') as live,
      (a.descriptor -> 'sum' ->> 'maxUpdates')::bigint as "maxUpdates",
      case a.descriptor -> 'sum' ->> 'weighting' when 'uniform' then 1
        else (a.descriptor -> 'sum' ->> 'weightCap')::bigint end as "largestWeight"
    from attempt_shard s
      join round_attempt a on a.task = s.task and a.round = s.round and a.attempt = s.attempt
    where s.task = ${ref.task} and s.round = ${ref.round} and s.attempt = ${ref.attempt}
      and s.region = ${ref.region} and s.shard = ${ref.shard}
      and exists (select from regional_node n where n.id = ${ref.node} and n.region = s.region and n.revoked_at is null)
    for update of s`
  if (task === undefined || shard === undefined) {
    throw new UnusableEventError(`no such shard of an attempt, or not of node ${ref.node}`)
  }
  const current = shard.live && shard.epoch === ref.epoch && (shard.state === 'open' || shard.state === 'collecting')
  return current ? { task, shard } : undefined
}
