import type { ShardSummed } from '@tributary/contracts/events'
import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'

/**
 * A shard reported after its attempt was settled without it. Its sum counts no more, but its participation list is kept, so
 * that everybody can see who took part: what was accepted there is shown as discarded. The caller holds the task's lock.
 * @returns false when the event is not of such a shard: of another epoch, or a repetition
 */
export const recordLateList = async (context: Context, sql: Transaction, event: ShardSummed): Promise<boolean> => {
  const { task, round, attempt, region, shard, epoch, participation, node } = event
  const recorded = await sql`
    update attempt_shard s set participation_key = ${participation.objectKey},
      participation_sha256 = ${participation.sha256}, participation_bytes = ${participation.bytes}
    where s.task = ${task} and s.round = ${round} and s.attempt = ${attempt} and s.region = ${region} and s.shard = ${shard}
      and s.epoch = ${epoch} and s.state in ('open', 'collecting') and s.participation_key is null
      and ${participation.objectKey} = ${`sums/${task}/${round}-${attempt}/${region}-${shard}-${epoch}.participation.jsonl`}
      and exists (select from regional_node n where n.id = ${node} and n.region = s.region and n.revoked_at is null)
      and exists (
        select from round_attempt a where a.task = s.task and a.round = s.round and a.attempt = s.attempt
          and a.state in ('committed', 'abandoned'))`
  if (recorded.count === 0) return false
  if (participation.bytes > 0) {
    await sql`
      update round_attempt set participation_due = true, merge_started_at = now()
      where task = ${task} and round = ${round} and attempt = ${attempt}`
    const ref: AttemptRef = { task, round, attempt }
    sql.afterCommit(`merge ${attemptKey(ref)}`, () => context.startMerge(ref))
  }
  return true
}
