import type { Context } from '../../context.ts'
import type { Transaction } from '../../database/transaction.ts'
import { systemActor } from '../../rounds/system-actor.ts'

/** Presigned uploads end after an hour; whoever has not finalised within a day does not come back. */
const abandonedHours = 24
const mostVersions = 20
/** Of one version's objects; the row waits for them in its transaction. */
const deleteMillis = 5000

type Removed = { weights_key: string; manifest_key: string; graph_key: string | null; model: string; number: number }

/**
 * Removes versions that were declared and never finalised, with whatever was uploaded for them. Row and objects go in one transaction:
 * the row first, so that the database refuses what anything refers to, and so that `finalise` finds either everything or
 * nothing; the objects before the commit, so that a failure leaves the row, and the next run tries again.
 * @returns how many versions went
 */
export const removeAbandonedUploads = async (
  context: Pick<Context, 'database' | 'store' | 'audit' | 'log'>,
  signal: AbortSignal,
): Promise<number> => {
  // Drawn, so that versions that cannot be removed do not keep others from their turn.
  const found = await context.database.read(
    sql => sql<{ id: string }[]>`
      select id from model_version
      where state = 'uploading' and created_at < now() - make_interval(hours => ${abandonedHours})
      order by random() limit ${mostVersions}`,
  )
  let removed = 0
  for (const { id } of found) {
    if (signal.aborted) break
    try {
      if (await context.database.transaction(sql => removeVersion(context, sql, id, signal))) removed += 1
    } catch (error) {
      context.log.error({ error, version: id }, 'an abandoned upload could not be removed; the next run tries again')
    }
  }
  return removed
}

const removeVersion = async (
  { store, audit }: Pick<Context, 'store' | 'audit'>,
  sql: Transaction,
  id: string,
  signal: AbortSignal,
): Promise<boolean> => {
  const [upload] = await sql<{ upload: string }[]>`select upload from version_upload where version = ${id}`
  const [version] = await sql<Removed[]>`
    delete from model_version where id = ${id} and state = 'uploading'
    returning weights_key, manifest_key, graph_key, model, number`
  if (version === undefined) return false
  const { weights_key, manifest_key, graph_key, model, number } = version
  const time = AbortSignal.any([signal, AbortSignal.timeout(deleteMillis)])
  const keys = [weights_key, manifest_key, ...(graph_key === null ? [] : [graph_key])]
  // Parts that were sent count as storage until then.
  if (upload !== undefined) await store.partUploads.abort(weights_key, upload.upload, time)
  await Promise.all(keys.map(key => store.delete(key, time)))
  const detail = { model, number }
  audit.append(sql, { actor: systemActor, action: 'version.removed', subject: `version/${id}`, detail })
  return true
}
