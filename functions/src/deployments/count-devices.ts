import type { DeploymentCounts } from '@tributary/contracts/deployments'
import type { Personalised } from '@tributary/contracts/personalisation'
import { asJson, type Sql } from '../database/transaction.ts'
import type { DeploymentRow } from './deployment-row.ts'

export type RegionCounts = DeploymentCounts & { readonly region: string }

/** Query of RegionCounts by region, in its order. */
export const countsByRegion = (sql: Sql, { id, revision }: Pick<DeploymentRow, 'id' | 'revision'>) => sql`
  select region,
    (count(*) filter (where state = 'pulling' and revision = ${revision}))::integer as pulling,
    (count(*) filter (where state = 'serving' and revision = ${revision}))::integer as serving,
    (count(*) filter (where state = 'unhealthy' and revision = ${revision}))::integer as unhealthy,
    (count(*) filter (where state = 'refused' and revision = ${revision}))::integer as refused,
    (count(*) filter (where state = 'rolled-back' and revision = ${revision}))::integer as "rolledBack",
    (count(*) filter (where revision <> ${revision}))::integer as outdated
  from deployment_device where deployment = ${id} group by region order by region`

export const sumOf = (regions: readonly RegionCounts[]): DeploymentCounts => {
  const sum = { pulling: 0, serving: 0, unhealthy: 0, refused: 0, rolledBack: 0, outdated: 0 }
  for (const counts of regions) {
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name]
  }
  return sum
}

/** Devices by how fine-tuning came out, by what they said of the current revision. */
export const countPersonalised = async (
  sql: Sql,
  { id, revision }: Pick<DeploymentRow, 'id' | 'revision'>,
): Promise<Record<Personalised['outcome'], number>> => {
  const rows = await sql<{ outcome: Personalised['outcome']; devices: number }[]>`
    select personalised ->> 'outcome' as outcome, count(*)::integer as devices from deployment_device
    where deployment = ${id} and revision = ${revision} and personalised is not null group by 1`
  const counts = { personal: 0, global: 0, refused: 0, failed: 0 }
  for (const { outcome, devices } of rows) counts[outcome] = devices
  return counts
}

/** Devices that fit a target, revoked ones left out. */
export const countFitting = async (sql: Sql, { regions, groups, labels }: DeploymentRow['target']): Promise<number> => {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer as count from device
    where revoked_at is null and ${regions.length === 0 ? sql`true` : sql`region = any(${[...regions]}::text[])`}
      and ${groups.length === 0 ? sql`true` : sql`groups && ${[...groups]}::text[]`}
      and ${Object.keys(labels).length === 0 ? sql`true` : sql`labels @> ${sql.json(asJson(labels))}`}`
  return row?.count ?? 0
}
