import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { tensorFromBytes } from '@tributary/onnx-train/tensor'
import { modelOf, node } from '@tributary/onnx-train/testing/model-of'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { sha256, testRegistry } from '../testing/test-registry.ts'

const registry = testRegistry()
const limits = { maxBytes: 1e8 }

const download = async (model: string, version: string, format: string) => {
  const answer = await registry.api('GET', `/v1/models/${model}/versions/${version}/download`, {
    query: `format=${format}`,
  })
  if (answer.status !== 200) return answer.body.code as string
  const bytes = new Uint8Array(await (await fetch(answer.body.url)).arrayBuffer())
  assert.deepEqual([sha256(bytes), bytes.length], [answer.body.sha256, answer.body.bytes])
  return bytes
}
const manifestOf = async (model: string, version: string) => {
  const bytes = await download(model, version, 'manifest')
  return Manifest.parse(JSON.parse(new TextDecoder().decode(bytes as Uint8Array)))
}

/**
 * What `safetensors.torch.save_file` writes of `nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2))` in half precision, by
 * the layout of the reference implementation: tensors by falling alignment of their dtype, then by name.
 */
const stateDict = (() => {
  const header = [
    `"1.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]}`,
    `"1.running_mean":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}`,
    `"1.running_var":{"dtype":"F32","shape":[2],"data_offsets":[16,24]}`,
    `"0.bias":{"dtype":"BF16","shape":[2],"data_offsets":[24,28]}`,
    `"0.weight":{"dtype":"F16","shape":[2,1],"data_offsets":[28,32]}`,
  ].join()
  const text = Buffer.from(`{${header}}`)
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, ' ')
  text.copy(padded)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  return new Uint8Array(Buffer.concat([length, padded, Buffer.alloc(32, 1)]))
})()

type SafetensorsInput = ReturnType<typeof extractWeights>['tensors']

suite('bundles', { timeout: 120_000 }, () => {
  test('a state_dict needs no manifest: policies come from dtypes, shapes and names, the rest from what was declared', async () => {
    const model = await registry.createModel('pytorch')
    const manifestDefaults = { loss: 'mean-squared-error', labelKind: 'real' } as const
    const version = await registry.upload(model, { weights: stateDict }, { manifestDefaults })
    assert.equal(await download(model, version, 'manifest'), 'MODEL_VERSION_NOT_READY')
    const finalised = await registry.finalise(model, version)
    assert.deepEqual([finalised.body.state, finalised.body.graph], ['ready', false])
    assert.deepEqual(await manifestOf(model, version), {
      format: 'tributary.manifest/1',
      tensors: [
        { name: '1.num_batches_tracked', dtype: 'I64', shape: [], policy: 'max' },
        { name: '1.running_mean', dtype: 'F32', shape: [2], policy: 'average', buffer: true },
        { name: '1.running_var', dtype: 'F32', shape: [2], policy: 'average', buffer: true },
        { name: '0.bias', dtype: 'BF16', shape: [2], policy: 'average' },
        { name: '0.weight', dtype: 'F16', shape: [2, 1], policy: 'average' },
      ],
      inputs: [],
      outputs: [],
      ...manifestDefaults,
    })
    assert.deepEqual(await download(model, version, 'safetensors'), stateDict)
    assert.equal(await download(model, version, 'onnx'), 'NOT_FOUND')
    const again = await registry.upload(model, { weights: stateDict }, { manifestDefaults })
    await registry.finalise(model, again)
    const rows = await registry.db.sql`
      select distinct manifest_sha256 from model_version where model = ${model} and state = 'ready'`
    assert.equal(rows.length, 1)
  })

  test('an ONNX model needs no manifest: its graph tells the ports and the running statistics', async () => {
    const model = await registry.createModel('onnx without manifest')
    const onnx = readModel(mcmahan2nn(1), limits)
    const { tensors, inputs, outputs } = extractWeights(onnx)
    const bundle = { weights: encodeSafetensors(tensors), graph: writeModel(withoutWeights(onnx)) }
    const version = await registry.upload(model, bundle)
    assert.equal((await registry.finalise(model, version)).body.state, 'ready')
    assert.deepEqual(await manifestOf(model, version), {
      format: 'tributary.manifest/1',
      tensors: tensors.map(({ name, dtype, shape, policy }) => ({ name, dtype, shape, policy })),
      inputs,
      outputs,
      loss: 'softmax-cross-entropy',
      labelKind: 'class-index',
    })
    assert.ok(Buffer.from((await download(model, version, 'onnx')) as Uint8Array).equals(mcmahan2nn(1)))
  })

  test('defaults beside a manifest are refused', async () => {
    const model = await registry.createModel('both')
    const file = { sha256: '0'.repeat(64), bytes: 8 }
    const body = { manifest: file, weights: file, manifestDefaults: {} }
    const refused = await registry.api('POST', `/v1/models/${model}/versions`, { body })
    assert.deepEqual(
      refused.body.errors.map(({ path }: { path: string }) => path),
      ['manifestDefaults'],
    )
  })

  test('a large ONNX file is written outside the request, once, and is the file of the whole model', async () => {
    const model = await registry.createModel('large export')
    const shape = [3000, 3000]
    const values = new Float32Array(9_000_000)
    for (let index = 0; index < values.length; index += 1) values[index] = index
    const w = tensorFromBytes('float32', shape, new Uint8Array(values.buffer))
    const bias = tensorFromBytes('float32', [3000], new Uint8Array(values.slice(0, 3000).buffer))
    const onnx = modelOf('float32', [3000], { w, bias }, [
      node('MatMul', ['x', 'w'], 'h'),
      node('Add', ['h', 'bias'], 'y'),
    ])
    const whole = writeModel(onnx)
    // The weights file has them in another order than the graph.
    const tensors = extractWeights(onnx).tensors.toReversed()
    const bundle = { weights: encodeSafetensors(tensors), graph: writeModel(withoutWeights(onnx)) }
    const version = await registry.upload(model, bundle)
    assert.equal((await registry.finalise(model, version)).body.state, 'ready')
    for (let n = 0; n < 2; n += 1) assert.equal(await download(model, version, 'onnx'), 'RESULT_PENDING')
    assert.equal(registry.jobs.length, 1)
    assert.deepEqual(await registry.runJobs(), ['done'])
    assert.ok(Buffer.from((await download(model, version, 'onnx')) as Uint8Array).equals(whole))
    assert.equal(registry.jobs.length, 0)
  })

  for (const [order, arrange] of [
    ['the order of the graph', (tensors: SafetensorsInput) => tensors],
    ['another order', (tensors: SafetensorsInput) => tensors.toReversed()],
  ] as const) {
    test(`weights in ${order} that changed since they were checked give no ONNX file`, async () => {
      const model = await registry.createModel(`changed, ${order}`)
      const onnx = readModel(mcmahan2nn(1), limits)
      const weights = encodeSafetensors(arrange(extractWeights(onnx).tensors))
      const version = await registry.upload(model, { weights, graph: writeModel(withoutWeights(onnx)) })
      assert.equal((await registry.finalise(model, version)).body.state, 'ready')
      const [{ key = '' } = {}] = await registry.db
        .sql`select weights_key as key from model_version where id = ${version}`
      const other = weights.slice()
      other[other.length - 1] = (other.at(-1) ?? 0) ^ 1
      await registry.store.put(key, other)
      const path = `/v1/models/${model}/versions/${version}/download`
      const refused = await registry.api('GET', path, { query: 'format=onnx' })
      assert.equal(refused.body.code, 'CHECKSUM_MISMATCH')
      assert.equal((await registry.db.sql`select from model_export where version = ${version}`).length, 0)
      await registry.store.put(key, weights)
      assert.ok(Buffer.from((await download(model, version, 'onnx')) as Uint8Array).equals(mcmahan2nn(1)))
    })
  }
})
