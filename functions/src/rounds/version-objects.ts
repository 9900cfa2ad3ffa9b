import type { ObjectRef } from '@tributary/contracts/ids'
import type { Transaction } from '../database/transaction.ts'
import type { TaskRow } from '../tasks/task-row.ts'

/** The files of a model version, as descriptors name them. */
export type VersionObjects = {
  readonly weights: ObjectRef & { readonly version: string; readonly number: number }
  readonly manifest: ObjectRef
  readonly graph: ObjectRef | null
  readonly model: { readonly id: string; readonly name: string }
}

type Row = {
  readonly number: number
  readonly weightsKey: string
  readonly weightsSha256: string
  readonly weightsBytes: number
  readonly manifestKey: string
  readonly manifestSha256: string
  readonly manifestBytes: number
  readonly graphKey: string | null
  readonly graphSha256: string | null
  readonly graphBytes: number | null
  readonly model: string
  readonly modelName: string
}

/** @throws Error when the version is not ready: a task only ever refers to versions that are */
export const readVersionObjects = async (sql: Transaction, version: string): Promise<VersionObjects> => {
  const [row] = await sql<Row[]>`
    select v.number, v.weights_key as "weightsKey", v.weights_sha256 as "weightsSha256",
      v.weights_bytes as "weightsBytes", v.manifest_key as "manifestKey", v.manifest_sha256 as "manifestSha256",
      v.manifest_bytes as "manifestBytes", v.graph_key as "graphKey", v.graph_sha256 as "graphSha256",
      v.graph_bytes as "graphBytes", m.id as model, m.name as "modelName"
    from model_version v join model m on m.id = v.model where v.id = ${version} and v.state = 'ready'`
  if (row === undefined) throw new Error(`model version ${version} is not ready`)
  const { graphKey, graphSha256, graphBytes } = row
  const graph = graphKey !== null && graphSha256 !== null && graphBytes !== null
  return {
    weights: {
      objectKey: row.weightsKey,
      sha256: row.weightsSha256,
      bytes: row.weightsBytes,
      version,
      number: row.number,
    },
    manifest: { objectKey: row.manifestKey, sha256: row.manifestSha256, bytes: row.manifestBytes },
    model: { id: row.model, name: row.modelName },
    graph: graph ? { objectKey: graphKey, sha256: graphSha256, bytes: graphBytes } : null,
  }
}

/** The statistics of a task, as its descriptors name them; nothing where it has none. */
export const readStatistics = async (
  sql: Transaction,
  { statistics }: Pick<TaskRow, 'statistics'>,
): Promise<{ readonly statistics?: ObjectRef }> => {
  if (statistics === null) return {}
  const { weights } = await readVersionObjects(sql, statistics)
  const { objectKey, sha256, bytes } = weights
  return { statistics: { objectKey, sha256, bytes } }
}
