import type { AttemptRef, ObjectRef } from '@tributary/contracts/ids'
import type { RoundDescriptor } from '@tributary/contracts/round'
import type { AttemptState } from '@tributary/contracts/tasks'
import type { Sql } from '../database/transaction.ts'

/** One shard's contribution to an attempt. */
export type SummedShard = {
  readonly region: string
  readonly shard: number
  readonly accepted: number
  readonly weight: bigint
  readonly sum: ObjectRef | null
  readonly participation: ObjectRef | null
  /** Reported after the attempt was settled: nothing of it was counted. */
  readonly late: boolean
}

/** What a merge works on. From `closing` on none of it changes. */
export type MergeInput = {
  readonly state: AttemptState
  /** Settled, with participation lists that are not taken in yet. */
  readonly participationDue: boolean
  readonly model: string
  readonly descriptor: Omit<RoundDescriptor, 'shards'>
  readonly shards: readonly SummedShard[]
}

type ShardRow = {
  readonly region: string
  readonly shard: number
  readonly accepted: number
  readonly weight: string
  readonly objectKey: string | null
  readonly sha256: string | null
  readonly bytes: number | null
  readonly participationKey: string | null
  readonly participationSha256: string | null
  readonly participationBytes: number | null
  readonly late: boolean
}

/** @returns undefined when there is no such attempt */
export const readMergeInput = async (sql: Sql, ref: AttemptRef): Promise<MergeInput | undefined> => {
  const [[attempt], rows] = await Promise.all([
    sql<Omit<MergeInput, 'shards'>[]>`
      select a.state, a.participation_due as "participationDue", t.model, a.descriptor from round_attempt a join task t on t.id = a.task
      where a.task = ${ref.task} and a.round = ${ref.round} and a.attempt = ${ref.attempt}`,
    sql<ShardRow[]>`
      select region, shard, accepted, weight, object_key as "objectKey", sha256, bytes,
        participation_key as "participationKey", participation_sha256 as "participationSha256",
        participation_bytes as "participationBytes", state <> 'summed' as late
      from attempt_shard
      where task = ${ref.task} and round = ${ref.round} and attempt = ${ref.attempt}
        and (state = 'summed' or participation_key is not null)
      order by region, shard`,
  ])
  return attempt && { ...attempt, shards: rows.map(summedShard) }
}

const summedShard = (row: ShardRow): SummedShard => ({
  region: row.region,
  shard: row.shard,
  accepted: row.accepted,
  weight: BigInt(row.weight),
  sum: objectRef(row.objectKey, row.sha256, row.bytes),
  late: row.late,
  participation: objectRef(row.participationKey, row.participationSha256, row.participationBytes),
})

const objectRef = (objectKey: string | null, sha256: string | null, bytes: number | null): ObjectRef | null =>
  objectKey === null || sha256 === null || bytes === null ? null : { objectKey, sha256, bytes }
