import { TributaryError } from '@tributary/contracts/errors'
import type { CreateVersion, Refusal, VersionState } from '@tributary/contracts/models'
import type { Sql, Transaction } from '../database/transaction.ts'

/** A version as the database keeps it; its objects never change. */
export type VersionRow = {
  id: string
  model: string
  model_name: string
  number: number
  state: VersionState
  refusal: Refusal | null
  weights_key: string
  weights_sha256: string
  weights_bytes: number
  /** Empty sha256 and 0 bytes until the check has derived it. */
  manifest_key: string
  manifest_sha256: string
  manifest_bytes: number
  /** Set where the manifest is derived. */
  manifest_defaults: NonNullable<CreateVersion['manifestDefaults']> | null
  graph_key: string | null
  graph_sha256: string | null
  graph_bytes: number | null
}

type VersionRef = { readonly model: string; readonly version: string }

/** @throws TributaryError NOT_FOUND, also for a version of another model */
export const selectVersion = async (sql: Sql, { model, version }: VersionRef): Promise<VersionRow> => {
  const [row] = await sql<VersionRow[]>`
    select v.id, v.model, m.name as model_name, v.number, v.state, v.refusal, v.weights_key, v.weights_sha256,
      v.weights_bytes, v.manifest_key, v.manifest_sha256, v.manifest_bytes, v.manifest_defaults, v.graph_key,
      v.graph_sha256, v.graph_bytes
    from model_version v join model m on m.id = v.model
    where v.id = ${version} and v.model = ${model}`
  if (row === undefined) throw new TributaryError('NOT_FOUND')
  return row
}

/**
 * Refuses a version that cannot be used.
 * @throws TributaryError VERSION_DELETED, MODEL_VERSION_NOT_READY, and what its check refused it for
 */
export const checkReady = ({ state, refusal }: Pick<VersionRow, 'state' | 'refusal'>): void => {
  if (state === 'ready') return
  if (state === 'deleted') throw new TributaryError('VERSION_DELETED')
  const detail = state === 'refused' ? `its files were refused: ${refusal?.detail ?? ''}` : undefined
  throw new TributaryError('MODEL_VERSION_NOT_READY', detail === undefined ? {} : { detail })
}

/**
 * Holds a ready version until the transaction ends: nobody deletes it before the new reference to it is there.
 * @throws TributaryError NOT_FOUND, VERSION_DELETED, MODEL_VERSION_NOT_READY
 */
export const holdVersion = async (sql: Transaction, { model, version }: VersionRef): Promise<void> => {
  const [row] = await sql<Pick<VersionRow, 'state' | 'refusal'>[]>`
    select state, refusal from model_version where id = ${version} and model = ${model} for key share`
  if (row === undefined) throw new TributaryError('NOT_FOUND', { detail: `The model has no version ${version}.` })
  checkReady(row)
}
