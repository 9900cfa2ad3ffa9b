import { TributaryError } from '@tributary/contracts/errors'
import { uploadPartBytes } from '@tributary/contracts/models'
import type { Context } from '../context.ts'
import type { PreparedHandler } from '../http/handler.ts'
import { type CheckedManifest, checkBundle } from './check-bundle.ts'
import { completeUpload } from './complete-upload.ts'
import { enqueueJob } from './jobs/enqueue-job.ts'
import { restartJobs } from './jobs/restart-jobs.ts'
import { makeReady } from './make-ready.ts'
import { declaredBundle } from './stored-file.ts'
import { selectVersion } from './version-row.ts'
import { selectUpload } from './version-upload.ts'
import { selectVersionView } from './version-view.ts'

/** What the files were found to be; null where that is found out later, or was before. */
type Prepared = CheckedManifest | 'later' | null

/**
 * Reads what was uploaded, as hostile input, and makes the version usable: small bundles at once, large ones by a job, while the
 * version is `checking`. Finalising again changes nothing.
 */
export const finaliseVersion = ({
  database,
  store,
  audit,
  ids,
  startVersionJob,
}: Pick<Context, 'database' | 'store' | 'audit' | 'ids' | 'startVersionJob'>): PreparedHandler<
  'finaliseVersion',
  Prepared
> => ({
  async prepare({ params, signal }) {
    const [version, upload] = await database.read(async sql => [
      await selectVersion(sql, params),
      await selectUpload(sql, params.version),
    ])
    if (version.state === 'deleted') throw new TributaryError('VERSION_DELETED')
    if (version.state === 'checking') await restartJobs({ database, startVersionJob }, version.id)
    if (version.state !== 'uploading') return null
    const { weights } = declaredBundle(version)
    if (upload !== null) await completeUpload(store, weights, upload, signal)
    if (weights.bytes <= uploadPartBytes) return checkBundle(store, version, { signal })
    for (const file of Object.values(declaredBundle(version))) {
      if (file !== null && (await store.head(file.key, signal)) === null) {
        throw new TributaryError('UPLOAD_MISSING', { detail: `${file.file} is not uploaded` })
      }
    }
    return 'later'
  },
  async apply({ params, actor }, sql, prepared) {
    if (prepared === 'later') {
      const moved = await sql`
        update model_version set state = 'checking'
        where id = ${params.version} and model = ${params.model} and state = 'uploading'`
      if (moved.count === 1) {
        await enqueueJob({ ids, startVersionJob }, sql, { kind: 'check', version: params.version, other: null })
        audit.append(sql, { actor, action: 'version.uploaded', subject: `version/${params.version}` })
      }
    } else if (prepared !== null) {
      await makeReady({ audit }, sql, { version: params.version, from: 'uploading', manifest: prepared, actor })
    }
    return selectVersionView(sql, params)
  },
})
