import { TributaryError } from '@tributary/contracts/errors'
import type { CreateVersion } from '@tributary/contracts/models'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { type BundleFile, bundleFiles, uploadKey } from './bundle-files.ts'
import { nextVersionNumber } from './version-number.ts'

const uploadSeconds = 3600

/** Declares the files of a version. Each upload takes exactly the declared bytes; `finalise` makes it usable. */
export const createVersion =
  ({ store, audit, ids }: Pick<Context, 'store' | 'audit' | 'ids'>): Handler<'createVersion'> =>
  async ({ params: { model }, body, actor }, sql) => {
    checkSizes(body)
    const id = ids.next()
    const number = await nextVersionNumber(sql, model)
    const { manifest, weights, graph } = body
    const key = (file: BundleFile) => uploadKey(model, id, file)
    await sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes,
        manifest_key, manifest_sha256, manifest_bytes, graph_key, graph_sha256, graph_bytes, created_by)
      values (${id}, ${model}, ${number}, 'uploading', ${key('weights')}, ${weights.sha256}, ${weights.bytes},
        ${key('manifest')}, ${manifest.sha256}, ${manifest.bytes}, ${graph === undefined ? null : key('graph')},
        ${graph?.sha256 ?? null}, ${graph?.bytes ?? null}, ${actor})`
    audit.append(sql, {
      actor,
      action: 'version.declared',
      subject: `version/${id}`,
      detail: { model, number, ...body },
    })
    return {
      version: id,
      uploads: {
        manifest: await store.presignPut(key('manifest'), manifest, uploadSeconds),
        weights: await store.presignPut(key('weights'), weights, uploadSeconds),
        ...(graph === undefined ? {} : { graph: await store.presignPut(key('graph'), graph, uploadSeconds) }),
      },
    }
  }

const checkSizes = (body: CreateVersion): void => {
  const errors = (Object.keys(bundleFiles) as BundleFile[]).flatMap(file => {
    const { maxBytes } = bundleFiles[file]
    return (body[file]?.bytes ?? 0) > maxBytes ? [{ path: `${file}.bytes`, message: `at most ${maxBytes} bytes` }] : []
  })
  if (errors.length > 0) throw new TributaryError('BODY_INVALID', { extra: { errors } })
}
