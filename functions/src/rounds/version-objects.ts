import type { ObjectRef } from '@tributary/contracts/ids'
import type { Transaction } from '../database/transaction.ts'

/** The files of a model version, as descriptors name them. */
export type VersionObjects = {
  readonly weights: ObjectRef & { readonly version: string; readonly number: number }
  readonly manifest: ObjectRef
  readonly graph: ObjectRef | null
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
}

/** @throws Error when the version is not ready: a task only ever refers to versions that are */
export const readVersionObjects = async (sql: Transaction, version: string): Promise<VersionObjects> => {
  const [row] = await sql<Row[]>`
    select number, weights_key as "weightsKey", weights_sha256 as "weightsSha256", weights_bytes as "weightsBytes",
      manifest_key as "manifestKey", manifest_sha256 as "manifestSha256", manifest_bytes as "manifestBytes",
      graph_key as "graphKey", graph_sha256 as "graphSha256", graph_bytes as "graphBytes"
    from model_version where id = ${version} and state = 'ready'`
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
    graph: graph ? { objectKey: graphKey, sha256: graphSha256, bytes: graphBytes } : null,
  }
}
