import type { DeploymentDescriptor, DeploymentTarget } from '@tributary/contracts/deployments'
import type { Personalise } from '@tributary/contracts/personalisation'
import type { Sql } from '../database/transaction.ts'

type Row = {
  readonly deployment: string
  readonly model: string
  readonly modelName: string
  readonly revision: number
  readonly target: DeploymentTarget
  readonly share: number
  readonly task: string | null
  readonly personalise: Personalise | null
  readonly version: string
  readonly number: number
  readonly weightsKey: string
  readonly weightsSha256: string
  readonly weightsBytes: number
  readonly manifestKey: string
  readonly manifestSha256: string
  readonly manifestBytes: number
  readonly graphKey: string
  readonly graphSha256: string
  readonly graphBytes: number
}

/** As many as a status answer holds. */
const mostInAnswer = 100

/** What a region hears of a deployment; null where there is none. */
export const readDescriptor = async (sql: Sql, deployment: string): Promise<DeploymentDescriptor | null> => {
  const [row] = await sql<Row[]>`${descriptors(sql)} where d.id = ${deployment}`
  return row === undefined ? null : descriptorOf(row)
}

/** The level: live deployments that concern a region, the newest first where there are too many. */
export const readLiveDescriptors = async (sql: Sql, region: string): Promise<DeploymentDescriptor[]> => {
  const rows = await sql<Row[]>`
    ${descriptors(sql)}
    where d.state in ('rolling-out', 'paused', 'released') and (d.regions = '{}' or ${region} = any(d.regions))
    order by d.id desc limit ${mostInAnswer}`
  return rows.map(descriptorOf)
}

const descriptors = (sql: Sql) => sql`
  select d.id as deployment, d.model, m.name as "modelName", d.revision, d.target, d.share, d.personalise, d.version, v.task, v.number,
    v.weights_key as "weightsKey", v.weights_sha256 as "weightsSha256", v.weights_bytes as "weightsBytes",
    v.manifest_key as "manifestKey", v.manifest_sha256 as "manifestSha256", v.manifest_bytes as "manifestBytes",
    v.graph_key as "graphKey", v.graph_sha256 as "graphSha256", v.graph_bytes as "graphBytes"
  from deployment d join model m on m.id = d.model join model_version v on v.id = d.version`

const descriptorOf = (row: Row): DeploymentDescriptor => ({
  deployment: row.deployment,
  model: row.model,
  modelName: row.modelName,
  revision: row.revision,
  weights: {
    version: row.version,
    number: row.number,
    objectKey: row.weightsKey,
    sha256: row.weightsSha256,
    bytes: row.weightsBytes,
  },
  manifest: { objectKey: row.manifestKey, sha256: row.manifestSha256, bytes: row.manifestBytes },
  graph: { objectKey: row.graphKey, sha256: row.graphSha256, bytes: row.graphBytes },
  ...(row.task !== null && { task: row.task }),
  ...(row.personalise !== null && { personalise: row.personalise }),
  target: row.target,
  share: row.share,
})
