import { TributaryError } from '@tributary/contracts/errors'
import type { Sql } from '../database/transaction.ts'

/** A version as the database keeps it; its objects never change. */
export type VersionRow = {
  id: string
  model: string
  model_name: string
  number: number
  state: 'uploading' | 'ready'
  weights_key: string
  weights_sha256: string
  weights_bytes: number
  manifest_key: string
  manifest_sha256: string
  manifest_bytes: number
  graph_key: string | null
  graph_sha256: string | null
  graph_bytes: number | null
}

/** @throws TributaryError NOT_FOUND, also for a version of another model */
export const selectVersion = async (sql: Sql, { model, version }: { model: string; version: string }) => {
  const [row] = await sql<VersionRow[]>`
    select v.id, v.model, m.name as model_name, v.number, v.state, v.weights_key, v.weights_sha256, v.weights_bytes,
      v.manifest_key, v.manifest_sha256, v.manifest_bytes, v.graph_key, v.graph_sha256, v.graph_bytes
    from model_version v join model m on m.id = v.model
    where v.id = ${version} and v.model = ${model}`
  if (row === undefined) throw new TributaryError('NOT_FOUND')
  return row
}
