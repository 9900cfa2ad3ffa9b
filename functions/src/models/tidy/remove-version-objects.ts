import type { Context } from '../../context.ts'
import type { Sql } from '../../database/transaction.ts'
import { uploadSeconds } from '../presign-uploads.ts'

/** Longer than a presigned download is good for, and than anything that a request writes takes. */
const graceMinutes = 20
const mostVersions = 20
const deleteMillis = 5000
/** Files of a version that are named as its weights are, but for the ending: what its round stored with it. */
const mostBeside = 100

type Tombstone = {
  id: string
  upload: string | null
  weights_key: string
  /** Null where another version, which is not deleted, has the same file. */
  manifest_key: string | null
  graph_key: string | null
  exports: string[]
}

/**
 * Removes the files of deleted versions: the objects first, then the mark that nothing is left, so that a run that ends between
 * leaves only what the next one removes. Versions of one line share manifest and graph; those go with the last of them. Not
 * before presigned uploads have expired, or a late one would put a file back.
 * @returns how many versions have nothing in storage any more
 */
export const removeVersionObjects = async (
  { database, store, log }: Pick<Context, 'database' | 'store' | 'log'>,
  signal: AbortSignal,
): Promise<number> => {
  const tombstones = await database.read(
    sql => sql<Tombstone[]>`
      select v.id, u.upload, v.weights_key,
        case when ${unshared(sql, 'manifest_key')} then v.manifest_key end as manifest_key,
        case when ${unshared(sql, 'graph_key')} then v.graph_key end as graph_key,
        array(select e.object_key from model_export e where e.version = v.id) as exports
      from model_version v left join version_upload u on u.version = v.id
      where v.state = 'deleted' and v.objects_removed_at is null
        and v.deleted_at < now() - make_interval(mins => ${graceMinutes})
        and v.created_at < now() - make_interval(secs => ${2 * uploadSeconds})
      order by v.deleted_at limit ${mostVersions}`,
  )
  let removed = 0
  for (const { id, upload, weights_key, manifest_key, graph_key, exports } of tombstones) {
    if (signal.aborted) break
    try {
      const time = AbortSignal.any([signal, AbortSignal.timeout(deleteMillis)])
      if (upload !== null) await store.partUploads.abort(weights_key, upload, time)
      const beside = await store.list(weights_key.replace(/[^.]*$/, ''), mostBeside, time)
      const keys = [weights_key, manifest_key, graph_key, ...exports, ...beside].filter(key => key !== null)
      await Promise.all(keys.map(key => store.delete(key, time)))
      await database.transaction(async sql => {
        await sql`delete from model_export where version = ${id}`
        await sql`delete from version_upload where version = ${id}`
        await sql`delete from version_job where (version = ${id} or other = ${id}) and state <> 'waiting'`
        await sql`update model_version set objects_removed_at = now() where id = ${id} and state = 'deleted'`
      })
      removed += 1
    } catch (error) {
      log.error({ error, version: id }, 'the files of a deleted version could not be removed; the next run tries again')
    }
  }
  return removed
}

const unshared = (sql: Sql, key: 'manifest_key' | 'graph_key') => sql`
  not exists (select from model_version o where o.${sql(key)} = v.${sql(key)} and o.state <> 'deleted')`
