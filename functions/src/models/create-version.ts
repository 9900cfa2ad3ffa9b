import { TributaryError } from '@tributary/contracts/errors'
import { type CreateVersion, uploadPartBytes } from '@tributary/contracts/models'
import type { Context } from '../context.ts'
import { asJson } from '../database/transaction.ts'
import type { PreparedHandler } from '../http/handler.ts'
import { type BundleFile, bundleFiles, uploadKey } from './bundle-files.ts'
import { type DeclaredBundle, presignUploads } from './presign-uploads.ts'
import { nextVersionNumber } from './version-number.ts'
import { insertUpload, type VersionUpload, wrongParts } from './version-upload.ts'

type Prepared = { readonly id: string; readonly upload: VersionUpload | null }

/** Declares the files of a version. Each upload takes exactly the declared bytes; `finalise` makes it usable. */
export const createVersion = ({
  database,
  store,
  audit,
  ids,
}: Pick<Context, 'database' | 'store' | 'audit' | 'ids'>): PreparedHandler<'createVersion', Prepared> => ({
  async prepare({ params: { model }, body, signal }) {
    checkFiles(body)
    const known = await database.read(sql => sql`select from model where id = ${model}`)
    if (known.length === 0) throw new TributaryError('NOT_FOUND')
    const id = ids.next()
    const { parts } = body.weights
    if (parts === undefined) return { id, upload: null }
    // Where the transaction fails, nothing is in the upload, and the bucket's lifecycle rule removes it.
    const upload = await store.partUploads.begin(uploadKey(model, id, 'weights'), signal)
    return { id, upload: { upload, partBytes: uploadPartBytes, partSha256: parts } }
  },
  async apply({ params: { model }, body, actor }, sql, { id, upload }) {
    const number = await nextVersionNumber(sql, model)
    const { manifest, weights, graph } = bundleOf(model, id, body)
    const defaults = manifest === null ? sql.json(asJson(body.manifestDefaults ?? defaultDefaults)) : null
    await sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes,
        manifest_key, manifest_sha256, manifest_bytes, manifest_defaults, graph_key, graph_sha256, graph_bytes, notes,
        created_by)
      values (${id}, ${model}, ${number}, 'uploading', ${weights.key}, ${weights.sha256}, ${weights.bytes},
        ${uploadKey(model, id, 'manifest')}, ${manifest?.sha256 ?? ''}, ${manifest?.bytes ?? 0}, ${defaults},
        ${graph?.key ?? null}, ${graph?.sha256 ?? null}, ${graph?.bytes ?? null}, ${body.notes}, ${actor})`
    if (upload !== null) await insertUpload(sql, id, upload)
    const { parts, ...whole } = body.weights
    const detail = { model, number, manifest: body.manifest, weights: whole, graph: body.graph, parts: parts?.length }
    audit.append(sql, { actor, action: 'version.declared', subject: `version/${id}`, detail })
    return { version: id, uploads: await presignUploads(store, { manifest, weights, graph }, upload) }
  },
})

const defaultDefaults: NonNullable<CreateVersion['manifestDefaults']> = {
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
}

const bundleOf = (model: string, id: string, { manifest, weights, graph }: CreateVersion): DeclaredBundle => {
  const object = (file: BundleFile, { sha256, bytes }: { sha256: string; bytes: number }) => ({
    key: uploadKey(model, id, file),
    sha256,
    bytes,
  })
  return {
    manifest: manifest === undefined ? null : object('manifest', manifest),
    weights: object('weights', weights),
    graph: graph === undefined ? null : object('graph', graph),
  }
}

/** @throws TributaryError BODY_INVALID */
const checkFiles = (body: CreateVersion): void => {
  const errors = (Object.keys(bundleFiles) as BundleFile[]).flatMap(file => {
    const { maxBytes } = bundleFiles[file]
    return (body[file]?.bytes ?? 0) > maxBytes ? [{ path: `${file}.bytes`, message: `at most ${maxBytes} bytes` }] : []
  })
  const parts = errors.length === 0 ? wrongParts(body.weights) : null
  if (parts !== null) errors.push({ path: 'weights.parts', message: parts })
  if (body.manifest !== undefined && body.manifestDefaults !== undefined) {
    errors.push({ path: 'manifestDefaults', message: 'only without a manifest' })
  }
  if (errors.length > 0) throw new TributaryError('BODY_INVALID', { extra: { errors } })
}
