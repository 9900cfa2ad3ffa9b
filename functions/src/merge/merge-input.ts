import type { AttemptRef, ObjectRef } from '@tributary/contracts/ids'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { ServerOptimizer } from '@tributary/contracts/server-optimizer'
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
  readonly optimizer: ServerOptimizer
  /** What that optimiser left with the base version; null where another one made the base, or none, or by another manifest. */
  readonly optimizerState: ObjectRef | null
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

type AttemptRow = Pick<MergeInput, 'state' | 'participationDue' | 'model' | 'descriptor'> & {
  readonly optimizer: unknown
  readonly stateOf: string | null
  /** sha256 of the manifest by which the base version was merged. */
  readonly stateManifest: string
  readonly stateKey: string | null
  readonly stateSha256: string | null
  readonly stateBytes: number | null
}

/** @returns undefined when there is no such attempt */
export const readMergeInput = async (sql: Sql, ref: AttemptRef): Promise<MergeInput | undefined> => {
  const [[attempt], rows] = await Promise.all([
    sql<AttemptRow[]>`
      select a.state, a.participation_due as "participationDue", t.model, a.descriptor, t.settings -> 'serverOptimizer' as optimizer,
        b.optimizer_name as "stateOf", b.optimizer_state_key as "stateKey", b.optimizer_state_sha256 as "stateSha256",
        b.optimizer_state_bytes as "stateBytes",
        coalesce(o.manifest ->> 'sha256', b.manifest_sha256) as "stateManifest"
      from round_attempt a join task t on t.id = a.task join model_version b on b.id = a.base_version
        left join task o on o.id = b.task
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
  if (attempt === undefined) return undefined
  const { stateOf, stateManifest, stateKey, stateSha256, stateBytes, ...fields } = attempt
  // Settings written by a version before have no optimiser.
  const optimizer = ServerOptimizer.parse(attempt.optimizer ?? undefined)
  // A task that keeps other tensors local has a state of another shape.
  const fits = stateOf === optimizer.name && stateManifest === attempt.descriptor.manifest.sha256
  const optimizerState = fits ? objectRef(stateKey, stateSha256, stateBytes) : null
  return { ...fields, optimizer, optimizerState, shards: rows.map(summedShard) }
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
