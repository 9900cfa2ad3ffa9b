import type { NodeStatusRequest } from '@tributary/contracts/node-status'
import { storable } from '../database/storable.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { CallingNode } from '../regional-nodes/renew-leases.ts'

/**
 * Keeps what devices of the caller's shards said of deployed versions: of each the last word. What is about an earlier revision is left
 * out, but that a device went back counts once the deployment is over, whichever revision the device knew. The same
 * again changes nothing. Where a device cannot serve the version, somebody must look whether the deployment goes back.
 */
export const recordDeploymentReports = async (
  sql: Transaction,
  { region, shardCount, epochs }: CallingNode,
  { deploymentReports = [] }: Pick<NodeStatusRequest, 'deploymentReports'>,
): Promise<void> => {
  if (deploymentReports.length === 0 || epochs.size === 0) return
  const last = new Map(deploymentReports.map(report => [`${report.deployment} ${report.device}`, report]))
  // In one order, so that calls at the same time lock rows alike.
  const rows = [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, report]) => report)
  const shards = [...epochs.keys()].map(String)
  const changed = await sql<{ deployment: string; state: string }[]>`
    insert into deployment_device (deployment, device, region, state, revision, detail, personalised)
    select x.id, d.id, ${region}, r.state, x.revision, r.detail, r.personalised
    from jsonb_to_recordset(${sql.json(asJson(storable(rows)))})
        as r (deployment uuid, revision integer, device uuid, state text, detail text, personalised jsonb)
      join deployment x on x.id = r.deployment
      join device d on d.id = r.device and d.region = ${region} and d.revoked_at is null
    where shard_of(d.shard_hash, ${shardCount}) = any(${shards}::text[]::integer[])
      and (r.revision = x.revision and x.state in ('rolling-out', 'paused', 'released')
        or r.state = 'rolled-back' and r.revision <= x.revision and x.state in ('rolled-back', 'superseded'))
    order by x.id, d.id
    on conflict (deployment, device) do update set region = excluded.region, state = excluded.state,
      revision = excluded.revision, detail = excluded.detail, personalised = excluded.personalised, reported_at = now()
    where (deployment_device.state, deployment_device.revision, deployment_device.detail, deployment_device.region,
        deployment_device.personalised)
      is distinct from (excluded.state, excluded.revision, excluded.detail, excluded.region, excluded.personalised)
    returning deployment, state`
  const failing = new Set(changed.filter(({ state }) => state === 'unhealthy').map(({ deployment }) => deployment))
  if (failing.size === 0) return
  await sql`
    update deployment set look_at = now() where id in (
      select id from deployment
      where id = any(${[...failing]}::text[]::uuid[]) and state in ('rolling-out', 'paused')
      order by id for no key update)`
}
