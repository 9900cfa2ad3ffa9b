import { TributaryError } from '@tributary/contracts/errors'
import type { Refusal, VersionState, VersionView } from '@tributary/contracts/models'
import type { Sql } from '../database/transaction.ts'
import { type KeptResult, keptResult, readResult } from '../evaluation/evaluation-result.ts'

export type VersionViewRow = {
  id: string
  model: string
  number: number
  state: VersionState
  refusal: Refusal | null
  notes: string
  graph: boolean
  statistics: number | null
  weights_sha256: string
  weights_bytes: number
  parent: string | null
  task: string | null
  round: number | null
  created_at: Date
  kept: KeptResult
}

/** Columns of a VersionViewRow over `model_version v`; the metrics are those of its newest evaluation. */
export const versionViewColumns = (sql: Sql) => sql`
  v.id, v.model, v.number, v.state, v.refusal, v.notes, v.graph_key is not null as graph, v.statistics,
  v.weights_sha256, v.weights_bytes, v.parent, v.task, v.round, v.created_at,
  (select ${keptResult(sql)} from evaluation e where e.version = v.id order by e.id desc limit 1) as kept`

/** @throws TributaryError NOT_FOUND, also for a version of another model */
export const selectVersionView = async (
  sql: Sql,
  { model, version }: { model: string; version: string },
): Promise<VersionView> => {
  const [row] = await sql<VersionViewRow[]>`
    select ${versionViewColumns(sql)} from model_version v where v.id = ${version} and v.model = ${model}`
  if (row === undefined) throw new TributaryError('NOT_FOUND')
  return versionViewOf(row)
}

export const versionViewOf = (row: VersionViewRow): VersionView => {
  const { examples, ...found } = readResult(row.kept)
  return {
    id: row.id,
    model: row.model,
    number: row.number,
    state: row.state,
    refusal: row.refusal,
    notes: row.notes,
    graph: row.graph,
    statistics: row.statistics,
    sha256: row.weights_sha256,
    bytes: row.weights_bytes,
    parent: row.parent,
    task: row.task,
    round: row.round,
    ...found,
    evaluatedExamples: examples,
    createdAt: row.created_at.toISOString(),
  }
}
