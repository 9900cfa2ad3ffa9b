import { randomBytes } from 'node:crypto'
import { leaseTimes } from '@tributary/contracts/node-status'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { systemActor } from '../rounds/system-actor.ts'

type Pending = { readonly shardCount: number; readonly pending: number }
type Holder = { readonly node: string; readonly held: number }
type Online = { readonly devices: number; readonly evaluators: number }

/** A node that missed two calls may be dead: nothing is given to it unasked. */
const aliveSeconds = 2 * leaseTimes.renewSeconds

/**
 * Gives a region the number of shards that waits, where no attempt needs the shards as they are. Every shard begins a new epoch,
 * since a shard's devices are others from now on: what nodes kept for it is void. Live nodes get equal parts at once, so that a round
 * that opens in the same transaction finds every device in a shard that somebody leases.
 *
 * The caller holds the region's rows of `region_shard`; an attempt that opens elsewhere holds the region (`holdRegions`), and then
 * nothing happens until the next call.
 * @returns whether the number changed
 */
export const applyShardCount = async (
  { audit }: Pick<Context, 'audit'>,
  sql: Transaction,
  region: string,
): Promise<boolean> => {
  const [row] = await sql<Pending[]>`
    select shard_count as "shardCount", pending_shard_count as pending from region
    where region = ${region} and pending_shard_count is not null for no key update skip locked`
  if (row === undefined || (await isBusy(sql, region))) return false
  const { shardCount: before, pending: after } = row
  const [online, holders] = await Promise.all([readOnline(sql, region, before, after), readHolders(sql, region)])
  const shards = Array.from({ length: after }, (_, shard) => ({
    shard,
    node: holders[shard % Math.max(1, holders.length)]?.node ?? null,
    key: randomBytes(32).toString('hex'),
    devices: online.get(shard)?.devices ?? 0,
    evaluators: online.get(shard)?.evaluators ?? 0,
  }))
  await sql`
    update region set shard_count = ${after}, pending_shard_count = null where region = ${region}`
  await sql`
    insert into region_shard (region, shard, node, epoch, log_key, lease_expires_at, devices_online, evaluators_online)
    select ${region}, c.shard, c.node, case when c.node is null then 0 else 1 end, decode(c.key, 'hex'),
      case when c.node is not null then now() + make_interval(secs => ${leaseTimes.leaseSeconds}) end, c.devices, c.evaluators
    from jsonb_to_recordset(${sql.json(asJson(shards))})
      as c (shard integer, node uuid, key text, devices integer, evaluators integer)
    on conflict (region, shard) do update set node = excluded.node, epoch = region_shard.epoch + 1,
      log_key = excluded.log_key, lease_expires_at = excluded.lease_expires_at, devices_online = excluded.devices_online,
      evaluators_online = excluded.evaluators_online`
  await sql`
    update region_shard set lease_expires_at = now(), devices_online = 0, evaluators_online = 0
    where region = ${region} and shard >= ${after} and lease_expires_at > now()`
  await planEvaluationsAnew(sql, region, after)
  const detail = { before, after, shards: shards.map(({ shard, node }) => ({ shard, node })) }
  audit.append(sql, { actor: systemActor, action: 'region.shard-count-changed', subject: `region/${region}`, detail })
  return true
}

/**
 * Holds the shard counts of the regions that an attempt opens in (empty: all), so that none changes between its plan and its rows;
 * a count that waits is applied first.
 */
export const holdRegions = async (
  context: Pick<Context, 'audit'>,
  sql: Transaction,
  regions: readonly string[],
): Promise<void> => {
  const waiting = await sql<{ region: string }[]>`
    select region from region
    where pending_shard_count is not null and (${regions.length === 0} or region = any(${[...regions]}::text[]))
    order by region`
  for (const { region } of waiting) {
    // A status call that runs holds all rows and applies the count itself.
    const locked = await sql`select 1 from region_shard where region = ${region} for no key update skip locked`
    const [all] = await sql<
      { count: number }[]
    >`select count(*)::integer as count from region_shard where region = ${region}`
    if (locked.length === all?.count) await applyShardCount(context, sql, region)
  }
  await sql`
    select 1 from region where ${regions.length === 0} or region = any(${[...regions]}::text[]) order by region for share`
}

/** Nodes that are there, those with most shards first: they keep what they can. */
const readHolders = (sql: Transaction, region: string): Promise<Holder[]> => sql<Holder[]>`
  select n.id as node, (
    select count(*)::integer from region_shard s
    where s.region = ${region} and s.node = n.id and s.lease_expires_at > now()) as held
  from regional_node n
  where n.region = ${region} and n.revoked_at is null and n.last_seen_at > now() - make_interval(secs => ${aliveSeconds})
    and not coalesce((n.load ->> 'draining')::boolean, false)
  order by held desc, n.id`

/**
 * Who is online in each of the shards to come, until the nodes have counted anew: rounds and evaluations open by it. Devices that
 * were counted but whose node does not name them (one of an older version) stand in the first shard, where their sum is right.
 */
const readOnline = async (
  sql: Transaction,
  region: string,
  before: number,
  after: number,
): Promise<ReadonlyMap<number, Online>> => {
  const [[counted], named] = await Promise.all([
    sql<Online[]>`
      select coalesce(sum(devices_online), 0)::integer as devices, coalesce(sum(evaluators_online), 0)::integer as evaluators
      from region_shard where region = ${region} and shard < ${before} and lease_expires_at > now()`,
    sql<(Online & { shard: number })[]>`
      select shard_of(d.shard_hash, ${after}) as shard, (count(*) filter (where d.kind = 'trainer'))::integer as devices,
        (count(*) filter (where d.kind = 'evaluator'))::integer as evaluators
      from device_presence p join device d on d.id = p.device and d.revoked_at is null
        join region_shard s on s.region = p.region and s.shard = p.shard and s.node = p.node and s.epoch = p.epoch
          and s.lease_expires_at > now()
      where p.region = ${region} and p.online group by 1`,
  ])
  const online = new Map(named.map(({ shard, devices, evaluators }) => [shard, { devices, evaluators }]))
  const unnamed = (of: keyof Online): number =>
    Math.max(0, (counted?.[of] ?? 0) - named.reduce((sum, shard) => sum + shard[of], 0))
  const { devices, evaluators } = online.get(0) ?? { devices: 0, evaluators: 0 }
  return online.set(0, { devices: devices + unnamed('devices'), evaluators: evaluators + unnamed('evaluators') })
}

/** Whether an attempt runs in the region, or an evaluation of which some shards have reported and others have not. */
const isBusy = async (sql: Transaction, region: string): Promise<boolean> => {
  const [row] = await sql<{ busy: boolean }[]>`
    select exists (
      select from round_attempt a join attempt_shard s on s.task = a.task and s.round = a.round and s.attempt = a.attempt
      where a.state in ('open', 'collecting') and s.region = ${region}
    ) or exists (
      select from evaluation e join evaluation_shard s on s.evaluation = e.id
      where e.state = 'open' and s.region = ${region}
      group by e.id having count(distinct s.state) > 1
    ) as busy`
  return row?.busy === true
}

/** Open evaluations that no shard of the region has reported go to the shards as they are now. */
const planEvaluationsAnew = async (sql: Transaction, region: string, shardCount: number): Promise<void> => {
  const replaced = await sql<{ evaluation: string }[]>`
    delete from evaluation_shard s using evaluation e
    where e.id = s.evaluation and e.state = 'open' and s.region = ${region} and s.state = 'open'
    returning s.evaluation`
  if (replaced.length === 0) return
  await sql`
    insert into evaluation_shard (evaluation, region, shard, epoch, state)
    select e.id, s.region, s.shard, s.epoch, 'open'
    from unnest(${[...new Set(replaced.map(({ evaluation }) => evaluation))]}::text[]::uuid[]) as e (id), region_shard s
    where s.region = ${region} and s.shard < ${shardCount} and s.node is not null`
}
