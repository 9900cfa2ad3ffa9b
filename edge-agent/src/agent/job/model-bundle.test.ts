import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import type { Manifest } from '@tributary/tensors/manifest'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { SafetensorsError } from '@tributary/tensors/safetensors/safetensors-error'
import type { Tensor } from '@tributary/tensors/tensor'
import fc from 'fast-check'
import { sha256Of } from '../../state/object-cache.ts'
import { bundle } from '../../testing/federation.ts'
import { loadBundle, weightsFromFlat } from './model-bundle.ts'
import { WorkError } from './work.ts'

type Parts = { weights: Uint8Array; manifest: Uint8Array; graph: Uint8Array }

const load = (parts: Partial<Parts> = {}) => {
  const all: Parts = { ...bundle, ...parts }
  const objects = new Map(Object.values(all).map(bytes => [sha256Of(bytes), bytes]))
  const infoOf = (bytes: Uint8Array) => ({ sha256: sha256Of(bytes), bytes: bytes.length })
  const ref = { token: 't', weights: infoOf(all.weights), manifest: infoOf(all.manifest), graph: infoOf(all.graph) }
  return loadBundle(ref, async ({ sha256 }) => objects.get(sha256) as Uint8Array)
}

const manifest = JSON.parse(bundle.manifest.toString()) as Manifest
const manifestWith = (change: (manifest: Manifest) => void): Uint8Array => {
  const copy = structuredClone(manifest)
  change(copy)
  return Buffer.from(JSON.stringify(copy))
}
const tensors = [...decodeSafetensors(bundle.weights).values()]

suite('a model bundle', () => {
  test('gives the weights as one vector in the order of the graph, and takes them back', async () => {
    const loaded = await load()
    assert.deepEqual(
      loaded.parameters,
      manifest.tensors.map(({ name }) => name),
    )
    const { flat } = loaded
    assert.equal(flat.length, 199_210)
    const back = weightsFromFlat(loaded, flat)
    for (const { name, bytes } of tensors)
      assert.deepEqual(Buffer.from((back.get(name) as Tensor).bytes), Buffer.from(bytes))
  })

  test('goes by names, not by order', async () => {
    const reversed = [...tensors].reverse()
    const loaded = await load({
      weights: encodeSafetensors(reversed),
      manifest: manifestWith(copy => void copy.tensors.reverse()),
    })
    assert.deepEqual(loaded.flat, (await load()).flat)
  })

  test('is refused when manifest, graph and weights speak of different tensors', async () => {
    await assert.rejects(load({ manifest: Buffer.from('{"format"') }), /not JSON/)
    await assert.rejects(load({ manifest: Buffer.from('{}') }), /manifest is not one/)
    await assert.rejects(load({ manifest: manifestWith(copy => void copy.tensors.pop()) }), /describes weights of/)
    const [first, ...rest] = tensors as [Tensor, ...Tensor[]]
    const renamed = encodeSafetensors([{ ...first, name: 'hidden1.Weight' }, ...rest])
    await assert.rejects(load({ weights: renamed }), /weights hold no "hidden1\.weight"/)
    const otherName = manifestWith(copy => void Object.assign(copy.tensors[0] ?? {}, { name: 'hidden1.Weight' }))
    await assert.rejects(load({ weights: renamed, manifest: otherName }), /graph has a parameter "hidden1\.weight"/)
  })

  test('is refused when it asks for what the ONNX trainer would do wrongly', async () => {
    const largest = manifestWith(copy => void Object.assign(copy.tensors[0] ?? {}, { policy: 'max' }))
    await assert.rejects(load({ manifest: largest }), /F32 of policy max/)
  })

  test('with any byte changed is loaded whole or refused with a typed error', async () => {
    const change = fc.record({
      part: fc.constantFrom('manifest' as const, 'graph' as const, 'weights' as const),
      // The interesting part of every file is its beginning.
      at: fc.nat(1500),
      to: fc.nat(255),
    })
    await fc.assert(
      fc.asyncProperty(change, async ({ part, at, to }) => {
        const bytes = Uint8Array.from(bundle[part])
        bytes[at % bytes.length] = to
        try {
          assert.equal((await load({ [part]: bytes })).flat.length, 199_210)
        } catch (error) {
          const typed = [WorkError, SafetensorsError, OnnxModelError].some(kind => error instanceof kind)
          assert.ok(typed, String(error))
        }
      }),
      { numRuns: 200 },
    )
  })

  test('is refused when its graph is none', async () => {
    await assert.rejects(load({ graph: Buffer.from('not a graph') }), { name: 'OnnxModelError', code: 'MALFORMED' })
  })
})
