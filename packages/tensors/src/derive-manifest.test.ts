import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deriveManifest } from './derive-manifest.ts'
import { Manifest } from './manifest.ts'
import type { TensorInfo } from './tensor.ts'

const defaults = { loss: 'softmax-cross-entropy', labelKind: 'class-index' } as const
const policies = (tensors: TensorInfo[], buffers?: ReadonlySet<string>) =>
  deriveManifest(tensors, { ...defaults, ...(buffers === undefined ? {} : { buffers }) }).tensors.map(
    ({ policy, buffer }) => (buffer ? `${policy} buffer` : policy),
  )

test('a state_dict of PyTorch becomes weights, running statistics as buffers, and a counter', () => {
  const tensors: TensorInfo[] = [
    { name: 'features.0.weight', dtype: 'F32', shape: [8, 3, 3, 3] },
    { name: 'features.1.running_mean', dtype: 'F32', shape: [8] },
    { name: 'features.1.running_var', dtype: 'F32', shape: [8] },
    { name: 'features.1.num_batches_tracked', dtype: 'I64', shape: [] },
    { name: 'embeddings.position_ids', dtype: 'I64', shape: [1, 512] },
    { name: 'mask', dtype: 'BOOL', shape: [] },
    { name: 'temperature', dtype: 'F32', shape: [] },
    { name: 'half', dtype: 'F16', shape: [2] },
    { name: 'brain', dtype: 'BF16', shape: [2] },
  ]
  const manifest = deriveManifest(tensors, defaults)
  assert.deepEqual(policies(tensors), [
    'average',
    'average buffer',
    'average buffer',
    'max',
    'frozen',
    'frozen',
    'average',
    'average',
    'average',
  ])
  assert.deepEqual(
    manifest.tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    tensors,
  )
  assert.deepEqual(Manifest.parse(manifest), manifest)
})

test('running statistics of Keras are known by its names, and a weight that only ends like one is none', () => {
  assert.deepEqual(
    policies([
      { name: 'batch_normalization/moving_mean', dtype: 'F32', shape: [8] },
      { name: 'batch_normalization/moving_variance:0', dtype: 'F32', shape: [8] },
      { name: 'rerunning_mean', dtype: 'F32', shape: [8] },
    ]),
    ['average buffer', 'average buffer', 'average'],
  )
})

test('where running statistics are given by name, names tell nothing', () => {
  assert.deepEqual(
    policies(
      [
        { name: 'bn.running_mean', dtype: 'F32', shape: [8] },
        { name: 'onnx::tensor', dtype: 'F32', shape: [8] },
      ],
      new Set(['onnx::tensor']),
    ),
    ['average', 'average buffer'],
  )
})
