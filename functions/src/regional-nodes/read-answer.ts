import {
  type DirectoryDevice,
  leaseTimes,
  type NodeStatusAnswer,
  type NodeStatusRequest,
} from '@tributary/contracts/node-status'
import type { EvaluationDescriptor, RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import { asJson, type Transaction } from '../database/transaction.ts'
import { readLiveDescriptors } from '../deployments/read-descriptors.ts'
import type { CallingNode } from './renew-leases.ts'

type WithShards<Descriptor, Shard> = { readonly descriptor: Descriptor; readonly shards: Shard[] }

/** Everything that a node must know: one flight of queries. */
export const readAnswer = async (
  sql: Transaction,
  caller: CallingNode,
  request: NodeStatusRequest,
): Promise<NodeStatusAnswer> => {
  const [
    { shardCount = caller.shardCount, leases },
    otherShards,
    attempts,
    evaluations,
    settled,
    settledEvaluations,
    deployments,
    directory,
  ] = await Promise.all([
    readLeases(sql, caller),
    readOtherShards(sql, caller),
    readAttempts(sql, caller),
    readEvaluations(sql, caller),
    readSettled(sql, request),
    readSettledEvaluations(sql, request),
    readLiveDescriptors(sql, caller.region),
    readDirectory(sql, caller, request),
  ])
  return {
    time: caller.now.toISOString(),
    region: caller.region,
    shardCount,
    leases: leases.map(lease => ({ ...lease, leaseSeconds: leaseTimes.leaseSeconds })),
    otherShards: [...otherShards],
    attempts: attempts.map(({ descriptor, shards }) => ({ ...descriptor, shards })),
    evaluations: evaluations.map(({ descriptor, shards }) => ({ ...descriptor, shards })),
    settled: [...settled],
    settledEvaluations: settledEvaluations.map(({ id }) => id),
    deployments,
    directory,
  }
}

/** Leases and the number of shards in one look: it may have changed since the caller's leases were renewed. */
const readLeases = async (sql: Transaction, { node, region }: CallingNode) => {
  const rows = await sql<{ shardCount: number; shard: number | null; epoch: number; logKey: string }[]>`
    select r.shard_count as "shardCount", s.shard, s.epoch, encode(s.log_key, 'base64') as "logKey"
    from region r left join region_shard s
      on s.region = r.region and s.shard < r.shard_count and s.node = ${node} and s.lease_expires_at > now()
    where r.region = ${region} order by s.shard`
  const leases = rows.flatMap(({ shard, epoch, logKey }) => (shard === null ? [] : { shard, epoch, logKey }))
  return { shardCount: rows[0]?.shardCount, leases }
}

const readOtherShards = (sql: Transaction, { node, region }: CallingNode) => sql<{ shard: number; endpoint: string }[]>`
  select s.shard, n.endpoint from region_shard s join regional_node n on n.id = s.node
  where s.region = ${region} and s.node <> ${node} and s.lease_expires_at > now() and n.endpoint is not null
  order by s.shard`

/** Live attempts with those of the caller's shards that have not reported. */
const readAttempts = (sql: Transaction, { node, region }: CallingNode) => sql<
  WithShards<Omit<RoundDescriptor, 'shards'>, ShardPlan>[]
>`
  select a.descriptor, json_agg(json_build_object('region', s.region, 'shard', s.shard, 'epoch', s.epoch, 'goal', s.goal,
    'select', s.to_select) order by s.shard) as shards
  from round_attempt a
    join attempt_shard s on s.task = a.task and s.round = a.round and s.attempt = a.attempt
    join region_shard l on l.region = s.region and l.shard = s.shard
  where a.state in ('open', 'collecting') and s.region = ${region} and s.state in ('open', 'collecting')
    and l.node = ${node} and l.lease_expires_at > now() and l.epoch = s.epoch
  group by a.task, a.round, a.attempt, a.descriptor order by a.task`

const readEvaluations = (sql: Transaction, { node, region }: CallingNode) => sql<
  WithShards<Omit<EvaluationDescriptor, 'shards'>, EvaluationDescriptor['shards'][number]>[]
>`
  select e.descriptor, json_agg(json_build_object('region', s.region, 'shard', s.shard, 'epoch', s.epoch)
    order by s.shard) as shards
  from evaluation e
    join evaluation_shard s on s.evaluation = e.id
    join region_shard l on l.region = s.region and l.shard = s.shard
  where e.state = 'open' and s.region = ${region} and s.state = 'open'
    and l.node = ${node} and l.lease_expires_at > now() and l.epoch = s.epoch
  group by e.id, e.descriptor order by e.id`

/** Those of `holding` that are not live any more, or never were. */
const readSettled = (sql: Transaction, { holding }: NodeStatusRequest) => sql<NodeStatusAnswer['settled']>`
  select h.task, h.round, h.attempt, case when a.state = 'committed' then 'committed'
    when a.reason ->> 'code' = 'CANCELLED' then 'cancelled' else 'abandoned' end as outcome
  from jsonb_to_recordset(${sql.json(asJson(holding))}) as h (task uuid, round integer, attempt integer)
    left join round_attempt a on a.task = h.task and a.round = h.round and a.attempt = h.attempt
  where a.state is null or a.state in ('committed', 'abandoned')`

const readSettledEvaluations = (sql: Transaction, { holdingEvaluations }: NodeStatusRequest) => sql<{ id: string }[]>`
  select h.id::uuid from jsonb_array_elements_text(${sql.json(asJson(holdingEvaluations))}) as h (id)
    left join evaluation e on e.id = h.id::uuid
  where e.state is distinct from 'open'`

const directoryPage = 500
type DirectoryRow = Omit<DirectoryDevice, 'previousCertificateSha256'> & { previousCertificateSha256: string | null }

/** Devices of the region that were enrolled, changed or revoked since the caller's sequence number. */
const readDirectory = async (
  sql: Transaction,
  { region }: CallingNode,
  { directorySequence }: NodeStatusRequest,
): Promise<NodeStatusAnswer['directory']> => {
  const rows = await sql<DirectoryRow[]>`
    select id as device, label, kind, groups, labels, certificate_sha256 as "certificateSha256",
      previous_certificate_sha256 as "previousCertificateSha256", revoked_at is not null as revoked, sequence
    from device where region = ${region} and sequence >= ${directorySequence}
    order by sequence limit ${directoryPage + 1}`
  const devices = rows
    .slice(0, directoryPage)
    .map(({ previousCertificateSha256: previous, ...device }) =>
      previous === null ? device : { ...device, previousCertificateSha256: previous },
    )
  const last = devices.at(-1)
  return {
    devices,
    sequence: last === undefined ? directorySequence : last.sequence + 1,
    complete: rows.length <= directoryPage,
  }
}
