import type { NodeStatusRequest } from '@tributary/contracts/node-status'
import { storable } from '../database/storable.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { CallingNode } from './renew-leases.ts'

/**
 * Keeps what devices of the caller's shards said of themselves. What it says of devices of other shards is left out, so that a node
 * that lost a shard cannot overwrite what the new holder knows. A certificate that follows another and is in use ends the one before.
 */
export const recordPresence = async (
  sql: Transaction,
  { node, region, shardCount, epochs }: CallingNode,
  { boot, presence = [] }: Pick<NodeStatusRequest, 'boot' | 'presence'>,
): Promise<void> => {
  if (presence.length === 0 || epochs.size === 0) return
  // The last word on each device; in the order of ids, so that calls at the same time lock rows in one order.
  const rows = [...new Map(presence.map(seen => [seen.device, seen])).values()].sort((a, b) =>
    a.device < b.device ? -1 : 1,
  )
  const leases = [...epochs].map(([shard, epoch]) => ({ shard, epoch }))
  await sql`
    insert into device_presence (device, node, boot, region, shard, epoch, online, seen_at, agent_version, frameworks,
      dataset_names, datasets, conditions)
    select d.id, ${node}, ${boot}, ${region}, l.shard, l.epoch, p.online, p."seenAt", p."agentVersion",
      array(select jsonb_array_elements_text(p.frameworks)), array(select s ->> 'name' from jsonb_array_elements(p.datasets) s),
      p.datasets, array(select jsonb_array_elements_text(p.conditions))
    from jsonb_to_recordset(${sql.json(asJson(storable(rows.map(row => ({ conditions: [], ...row })))))})
        as p (device uuid, online boolean, "seenAt" timestamptz, "agentVersion" text, frameworks jsonb, datasets jsonb,
          conditions jsonb)
      join device d on d.id = p.device and d.region = ${region}
      join jsonb_to_recordset(${sql.json(asJson(leases))}) as l (shard integer, epoch integer)
        on l.shard = shard_of(d.shard_hash, ${shardCount})
    order by d.id
    on conflict (device) do update set node = excluded.node, boot = excluded.boot, region = excluded.region,
      shard = excluded.shard, epoch = excluded.epoch, online = excluded.online, seen_at = excluded.seen_at,
      agent_version = excluded.agent_version, frameworks = excluded.frameworks, dataset_names = excluded.dataset_names,
      datasets = excluded.datasets, conditions = excluded.conditions`
  const used = rows.flatMap(({ device, certificateSha256: sha256 }) => (sha256 === undefined ? [] : { device, sha256 }))
  if (used.length === 0) return
  await sql`
    update device d set previous_certificate_sha256 = null
    from jsonb_to_recordset(${sql.json(asJson(used))}) as u (device uuid, sha256 text)
    where d.id = u.device and d.region = ${region} and d.certificate_sha256 = u.sha256
      and d.previous_certificate_sha256 is not null`
}
