import { randomBytes } from 'node:crypto'
import { leaseTimes } from '@tributary/contracts/node-status'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { systemActor } from '../rounds/system-actor.ts'
import { holdRegions } from './apply-shard-count.ts'
import type { ShardLease } from './assign-leases.ts'
import { readBusyShards } from './busy-shards.ts'
import { takeSurplus } from './take-surplus.ts'

type LackingNode = {
  readonly region: string
  readonly shardCount: number
  readonly node: string
  readonly liveNodes: number
  readonly held: number
}

/** A node that missed two calls may be dead: nothing is given to it unasked. */
const aliveSeconds = 2 * leaseTimes.renewSeconds

/**
 * Hands surplus shards to nodes that lack them, before the next attempt pins who takes part. Where rounds follow one another at
 * once, a node's own calls would hardly ever find a shard idle. Both nodes hear of it by `round.opened`, whose epoch is
 * none of theirs, and ask; the new holder then begins with an epoch of its own. A number of shards that waits is applied before that.
 * @param regions empty: all
 */
export const balanceLeases = async (
  context: Pick<Context, 'audit'>,
  sql: Transaction,
  regions: readonly string[],
): Promise<void> => {
  const { audit } = context
  await holdRegions(context, sql, regions)
  const lacking = await readLackingNodes(sql, regions)
  for (const [region, nodes] of Map.groupBy(lacking, ({ region }) => region)) {
    // A status call that runs holds all rows; it may want ours, so it is not waited for. The next round is soon enough.
    const shards = await sql<ShardLease[]>`
      select shard, node, epoch, coalesce(lease_expires_at > now(), false) as live from region_shard
      where region = ${region} and shard < ${nodes[0]?.shardCount ?? 0} order by shard for no key update skip locked`
    if (nodes.some(({ shardCount }) => shards.length < shardCount)) continue
    const busy = await readBusyShards(sql, region)
    const given = new Map<number, string>()
    for (const { node, liveNodes, held } of nodes) {
      const current = shards.map(shard => ({ ...shard, node: given.get(shard.shard) ?? shard.node }))
      const request = { node, draining: false, listed: new Map<number, number>(), liveNodes }
      for (const { shard } of takeSurplus(current, request, held, shard => busy.has(shard))) given.set(shard, node)
    }
    const updates = [...given].map(([shard, node]) => ({ shard, node, key: randomBytes(32).toString('hex') }))
    if (updates.length === 0) continue
    const handed = await sql<{ shard: number; epoch: number; node: string }[]>`
      update region_shard s set node = c.node, epoch = s.epoch + 1, log_key = decode(c.key, 'hex'),
        lease_expires_at = now() + make_interval(secs => ${leaseTimes.leaseSeconds})
      from jsonb_to_recordset(${sql.json(asJson(updates))}) as c (shard integer, node uuid, key text)
      where s.region = ${region} and s.shard = c.shard returning s.shard, s.epoch, s.node`
    const detail = { region, shards: handed.toSorted((a, b) => a.shard - b.shard) }
    audit.append(sql, { actor: systemActor, action: 'leases.handed-over', subject: `region/${region}`, detail })
  }
}

/** Live nodes below their fair share in regions where another is above it; usually there are none. */
const readLackingNodes = (sql: Transaction, regions: readonly string[]): Promise<LackingNode[]> => sql<LackingNode[]>`
  with alive as (
    select n.region, n.id, r.shard_count, count(*) over (partition by n.region) as nodes, (
      select count(*) from region_shard s
      where s.region = n.region and s.node = n.id and s.lease_expires_at > now()) as held
    from regional_node n join region r on r.region = n.region
    where n.revoked_at is null and n.last_seen_at > now() - make_interval(secs => ${aliveSeconds})
      and not coalesce((n.load ->> 'draining')::boolean, false)
      and (${regions.length === 0} or n.region = any(${[...regions]}::text[]))
  )
  select a.region, a.shard_count as "shardCount", a.id as node, a.nodes::integer as "liveNodes", a.held::integer as held
  from alive a
  where a.held < ceil(a.shard_count::numeric / a.nodes) and exists (
    select from alive b where b.region = a.region and b.held > ceil(b.shard_count::numeric / b.nodes))
  order by a.region, a.held, a.id`
