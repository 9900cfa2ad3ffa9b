import { TributaryError } from '@tributary/contracts/errors'
import { encodeStatistics, statisticsManifest, zeroStatistics } from '@tributary/learning/statistics/feature-statistics'
import type { WrittenObject } from '../adapters/object-store.ts'
import type { Context } from '../context.ts'
import type { PreparedHandler } from '../http/handler.ts'
import { uploadKey } from './bundle-files.ts'
import { nextVersionNumber } from './version-number.ts'
import { selectVersionView } from './version-view.ts'

type StoredObject = WrittenObject & { readonly key: string }
type Prepared = { readonly id: string; readonly manifest: StoredObject; readonly weights: StoredObject }

/**
 * Makes a version that a task of framework `statistics` begins with: nothing to upload, and usable at once.
 * @throws TributaryError NOT_FOUND
 */
export const createStatistics = ({
  database,
  store,
  audit,
  ids,
}: Pick<Context, 'database' | 'store' | 'audit' | 'ids'>): PreparedHandler<'createStatistics', Prepared> => ({
  async prepare({ params: { model }, body: { entries }, signal }) {
    // Nobody would look for the files of a version that does not come to be.
    const [known] = await database.read(sql => sql`select 1 from model where id = ${model}`)
    if (known === undefined) throw new TributaryError('NOT_FOUND')
    const id = ids.next()
    const put = async (file: 'manifest' | 'weights', bytes: Uint8Array): Promise<StoredObject> => {
      const key = uploadKey(model, id, file)
      return { ...(await store.put(key, bytes, { signal })), key }
    }
    const manifest = new TextEncoder().encode(JSON.stringify(statisticsManifest(entries)))
    return {
      id,
      manifest: await put('manifest', manifest),
      weights: await put('weights', encodeStatistics(zeroStatistics(entries))),
    }
  },
  async apply({ params: { model }, body: { entries, notes }, actor }, sql, { id, manifest, weights }) {
    const number = await nextVersionNumber(sql, model)
    await sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, statistics, notes, created_by)
      values (${id}, ${model}, ${number}, 'ready', ${weights.key}, ${weights.sha256}, ${weights.bytes}, ${manifest.key},
        ${manifest.sha256}, ${manifest.bytes}, ${entries}, ${notes}, ${actor})`
    const detail = { model, number, entries, sha256: weights.sha256 }
    audit.append(sql, { actor, action: 'version.statistics', subject: `version/${id}`, detail })
    return selectVersionView(sql, { model, version: id })
  },
})
