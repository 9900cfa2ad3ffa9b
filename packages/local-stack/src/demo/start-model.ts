import { createHash } from 'node:crypto'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { mcmahan2nn, mcmahanCnn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import type { ApiClient } from '../platform/api-client.ts'

export type StartModel = { readonly model: string; readonly version: string }

type File = { readonly bytes: Uint8Array<ArrayBuffer>; readonly sha256: string }

const file = (bytes: Uint8Array): File => ({
  bytes: new Uint8Array(bytes),
  sha256: createHash('sha256').update(bytes).digest('hex'),
})

/** Manifest, weights and forward graph of an ONNX model: the bundle that the registry takes. */
const bundleOf = (onnx: Uint8Array): { manifest: File; weights: File; graph: File } => {
  const model = readModel(onnx, { maxBytes: onnx.byteLength })
  const { tensors, inputs, outputs } = extractWeights(model)
  const manifest = Manifest.parse({
    format: 'tributary.manifest/1',
    tensors: tensors.map(({ bytes: _bytes, ...described }) => described),
    inputs,
    outputs,
    loss: 'softmax-cross-entropy',
    labelKind: 'class-index',
  })
  return {
    manifest: file(new TextEncoder().encode(JSON.stringify(manifest))),
    weights: file(encodeSafetensors(tensors)),
    graph: file(writeModel(withoutWeights(model))),
  }
}

const put = async (upload: { url: string; headers: Record<string, string> }, { bytes }: File): Promise<void> => {
  const answer = await fetch(upload.url, {
    method: 'PUT',
    headers: upload.headers,
    body: bytes,
    signal: AbortSignal.timeout(60_000),
  })
  if (!answer.ok)
    throw new Error(`object storage refused an upload with ${answer.status}: ${(await answer.text()).slice(0, 300)}`)
}

/** The demo's model in the registry, its start version uploaded as any user's would be; kept from start to start. */
export const ensureStartModel = async (api: ApiClient, kind: '2nn' | 'cnn', seed: number): Promise<StartModel> => {
  const name = `MNIST ${kind.toUpperCase()}, seed ${seed}`
  let model: string | undefined
  for await (const known of api.pages('listModels')) if (known.name === name) model = known.id
  model ??= (await api.call('createModel', { body: { name, description: 'McMahan 2017, section 3' } })).id
  for await (const version of api.pages('listVersions', { params: { model } })) {
    if (version.state === 'ready' && version.parent === null) return { model, version: version.id }
  }
  return { model, version: await uploadOnnx(api, model, kind === '2nn' ? mcmahan2nn(seed) : mcmahanCnn(seed)) }
}

/** A new version of a model, from an ONNX file with its weights. @returns its id */
export const uploadOnnx = async (api: ApiClient, model: string, onnx: Uint8Array): Promise<string> => {
  const bundle = bundleOf(onnx)
  const declared = ({ sha256, bytes }: File) => ({ sha256, bytes: bytes.byteLength })
  const { version, uploads } = await api.call('createVersion', {
    params: { model },
    body: { manifest: declared(bundle.manifest), weights: declared(bundle.weights), graph: declared(bundle.graph) },
  })
  const files = ['manifest', 'weights', 'graph'] as const
  await Promise.all(
    files.map(async name => {
      const upload = uploads[name]
      if (upload !== undefined) await put(upload, bundle[name])
    }),
  )
  await api.call('finaliseVersion', { params: { model, version } })
  return version
}
