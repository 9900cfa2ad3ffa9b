import { randomBytes } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import { leaseTimes, type NodeStatusRequest } from '@tributary/contracts/node-status'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { applyShardCount } from './apply-shard-count.ts'
import { assignLeases, type LeaseChange, type LeaseRequest, type ShardLease } from './assign-leases.ts'
import { readBusyShards } from './busy-shards.ts'
import { takeSurplus } from './take-surplus.ts'

/** What the rest of a status call needs to know about its caller. */
export type CallingNode = {
  readonly node: string
  readonly region: string
  readonly shardCount: number
  readonly now: Date
  /** Epoch by shard of the leases that the caller holds after this call. */
  readonly epochs: ReadonlyMap<number, number>
}

type NodeRow = {
  readonly region: string
  readonly shardCount: number
  readonly pendingShardCount: number | null
  readonly now: Date
  readonly otherNodes: number
}

/**
 * Renews, gives and takes back leases. The rows of the region's shards stay locked to the end of the transaction, so that
 * two nodes never take the same shard. Whatever changes a holder or an epoch is audited; a renewal changes neither.
 * @throws TributaryError NOT_FOUND
 */
export const renewLeases = async (
  { audit }: Pick<Context, 'audit'>,
  sql: Transaction,
  node: string,
  request: NodeStatusRequest,
): Promise<CallingNode> => {
  const { leaseSeconds } = leaseTimes
  const [[row], shards] = await Promise.all([
    sql<NodeRow[]>`
      select n.region, r.shard_count as "shardCount", r.pending_shard_count as "pendingShardCount", now(), (
        select count(*)::integer from regional_node o
        where o.region = n.region and o.id <> n.id and o.revoked_at is null
          and o.last_seen_at > now() - make_interval(secs => ${leaseSeconds})
          and not coalesce((o.load ->> 'draining')::boolean, false)
      ) as "otherNodes"
      from regional_node n join region r on r.region = n.region
      where n.id = ${node} and n.revoked_at is null`,
    sql<ShardLease[]>`
      select s.shard, s.node, s.epoch, coalesce(s.lease_expires_at > now(), false) as live
      from region_shard s join region r on r.region = s.region and s.shard < r.shard_count
      where s.region = (select region from regional_node where id = ${node})
      order by s.shard for no key update of s`,
  ])
  if (row === undefined) throw new TributaryError('NOT_FOUND')
  if (row.pendingShardCount !== null && (await applyShardCount({ audit }, sql, row.region))) {
    return renewLeases({ audit }, sql, node, request)
  }
  const listed = new Map(request.shards.map(({ shard, epoch }) => [shard, epoch]))
  const { draining } = request
  const leaseRequest = { node, draining, listed, liveNodes: row.otherNodes + 1 }
  const own = assignLeases(shards, leaseRequest)
  const changes = [...own, ...(await drawSurplus(sql, row.region, shards, leaseRequest, own.length))]
  const presence = new Map(request.shards.map(shard => [shard.shard, shard]))
  const updates = changes.map(({ shard, kind }) => ({
    shard,
    take: kind === 'take',
    seconds: kind === 'release' ? 0 : leaseSeconds,
    key: kind === 'take' ? randomBytes(32).toString('hex') : null,
    devices: kind === 'renew' ? (presence.get(shard)?.devicesOnline ?? 0) : 0,
    evaluators: kind === 'renew' ? (presence.get(shard)?.evaluatorsOnline ?? 0) : 0,
  }))
  const load = { ...request.load, draining }
  const [held, seen] = await Promise.all([
    sql<{ shard: number; epoch: number; seconds: number }[]>`
      update region_shard s set
        node = ${node},
        epoch = s.epoch + c.take::integer,
        log_key = coalesce(decode(c.key, 'hex'), s.log_key),
        lease_expires_at = now() + make_interval(secs => c.seconds),
        devices_online = c.devices,
        evaluators_online = c.evaluators
      from jsonb_to_recordset(${sql.json(asJson(updates))})
        as c (shard integer, take boolean, seconds double precision, key text, devices integer, evaluators integer)
      where s.region = ${row.region} and s.shard = c.shard
      returning s.shard, s.epoch, c.seconds`,
    sql`
      update regional_node set endpoint = ${request.endpoint}, version = ${request.nodeVersion}, boot = ${request.boot},
        last_seen_at = now(), load = ${sql.json(asJson(load))}
      where id = ${node} and revoked_at is null`,
  ])
  // Revoked since the first look.
  if (seen.count !== 1) throw new TributaryError('NOT_FOUND')
  const before = new Map(shards.map(shard => [shard.shard, shard.node]))
  const kinds = new Map(changes.map(({ shard, kind }) => [shard, kind]))
  const changed = (kind: LeaseChange['kind']) =>
    held
      .filter(({ shard }) => kinds.get(shard) === kind)
      .map(({ shard, epoch }) => ({ shard, epoch, from: before.get(shard) ?? null }))
      .sort((a, b) => a.shard - b.shard)
  // One entry a call, since a region may have thousands of shards and every audit writer waits for the one before.
  const entries = [
    ['leases.taken', changed('take')],
    ['leases.released', changed('release').map(({ shard, epoch }) => ({ shard, epoch }))],
  ] as const
  for (const [action, shards] of entries) {
    if (shards.length === 0) continue
    const detail = { region: row.region, shards }
    audit.append(sql, { actor: `regional-node:${node}`, action, subject: `regional-node/${node}`, detail })
  }
  const epochs = new Map(held.filter(({ seconds }) => seconds > 0).map(({ shard, epoch }) => [shard, epoch]))
  return { node, region: row.region, shardCount: row.shardCount, now: row.now, epochs }
}

/** Asks for the busy shards only where there is something to take, which is seldom. */
const drawSurplus = async (
  sql: Transaction,
  region: string,
  shards: readonly ShardLease[],
  request: LeaseRequest,
  own: number,
): Promise<LeaseChange[]> => {
  if (takeSurplus(shards, request, own, () => false).length === 0) return []
  // An attempt that opens at this moment is not seen; its part here gets the new epoch in this call or the next.
  const busy = await readBusyShards(sql, region)
  return takeSurplus(shards, request, own, shard => busy.has(shard))
}
