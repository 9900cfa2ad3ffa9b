import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { presignUploads } from './presign-uploads.ts'
import { declaredBundle } from './stored-file.ts'
import { selectVersion } from './version-row.ts'
import { declaredParts, selectUpload } from './version-upload.ts'

/** Fresh addresses for what is missing, for a client that lost its own or went on after an hour. */
export const getVersionUploads =
  ({ database, store }: Pick<Context, 'database' | 'store'>): Handler<'getVersionUploads'> =>
  async ({ params, signal }) => {
    const [version, upload] = await database.read(async sql => [
      await selectVersion(sql, params),
      await selectUpload(sql, params.version),
    ])
    if (version.state !== 'uploading') throw new TributaryError('STATE_CONFLICT', { detail: `it is ${version.state}` })
    const bundle = declaredBundle(version)
    const stored = upload === null ? null : await store.partUploads.list(version.weights_key, upload.upload, signal)
    const there = new Map(stored?.map(({ part, sha256 }) => [part, sha256]))
    const declared = upload === null ? [] : declaredParts(upload, version.weights_bytes)
    // Parts that are an object already are an upload no more.
    const whole = upload !== null && stored === null
    return {
      version: version.id,
      uploads: await presignUploads(store, bundle, upload, {
        file: async ({ key, bytes }) => (await store.head(key, signal))?.bytes !== bytes,
        part: part => !whole && there.get(part) !== declared[part - 1]?.sha256,
      }),
    }
  }
