import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Manifest, ManifestTensor, TensorPolicy } from '@tributary/tensors/manifest'
import { keepLocally } from './keep-local.ts'
import { KeepLocalError } from './keep-local-error.ts'

type Line = readonly [name: string, policy?: TensorPolicy, buffer?: boolean]

const manifestOf = (...lines: Line[]): Manifest => ({
  format: 'tributary.manifest/1',
  tensors: lines.map(
    ([name, policy = 'average', buffer = false]): ManifestTensor => ({
      name,
      dtype: 'F32',
      shape: [2],
      policy,
      ...(buffer && { buffer }),
    }),
  ),
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})

/** As PyTorch names a small network. */
const torch = manifestOf(
  ['conv.weight'],
  ['conv.bias'],
  ['bn.weight'],
  ['bn.bias'],
  ['bn.running_mean', 'average', true],
  ['bn.running_var', 'average', true],
  ['bn.num_batches_tracked', 'max'],
  ['norm.weight'],
  ['fc.weight'],
  ['fc.bias'],
  ['table', 'frozen'],
)

const policies = ({ tensors }: Manifest) => tensors.map(({ policy }) => policy)

suite('keepLocally', () => {
  test('what a glob names stays local, everything else keeps its policy, and names stay in their order', () => {
    const { manifest, patterns, kept } = keepLocally(torch, ['fc.*', '*.bias'])
    assert.deepEqual(kept, ['conv.bias', 'bn.bias', 'fc.weight', 'fc.bias'])
    assert.deepEqual(patterns, [
      { pattern: 'fc.*', tensors: ['fc.weight', 'fc.bias'] },
      { pattern: '*.bias', tensors: ['conv.bias', 'bn.bias', 'fc.bias'] },
    ])
    const local = 'keep-local'
    assert.deepEqual(policies(manifest), [
      'average',
      local,
      'average',
      local,
      'average',
      'average',
      'max',
      'average',
      local,
      local,
      'frozen',
    ])
    assert.deepEqual({ ...manifest, tensors: [] }, { ...torch, tensors: [] })
  })

  test('the batch normalisation of PyTorch is known by its running statistics; a layer norm is none', () => {
    const { kept } = keepLocally(torch, ['batch-norm'])
    assert.deepEqual(
      kept,
      ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'].map(name => `bn.${name}`),
    )
  })

  test('the batch normalisation of Keras is known too', () => {
    const names = ['gamma:0', 'beta:0', 'moving_mean:0', 'moving_variance:0'].map(name => `net/bn_1/${name}`)
    const keras = manifestOf(['net/dense/kernel:0'], ['net/dense/bias:0'], ...names.map((name): Line => [name]))
    assert.deepEqual(keepLocally(keras, ['batch-norm']).kept, names)
  })

  test('names that tell nothing are known by the graph', () => {
    const plain = manifestOf(['w1'], ['s'], ['b'], ['m', 'average', true], ['v', 'average', true], ['w2'])
    const graph = { batchNorm: new Set(['s', 'b', 'm', 'v']), order: ['w1', 's', 'b', 'm', 'v', 'w2'] }
    assert.deepEqual(keepLocally(plain, ['batch-norm'], graph).kept, ['s', 'b', 'm', 'v'])
  })

  test('the last layers are those of the graph where there is one, else of the manifest', () => {
    const shuffled = manifestOf(['head.weight'], ['head.bias'], ['in.weight'], ['mid.weight'], ['mid.bias'])
    const order = ['in.weight', 'mid.weight', 'mid.bias', 'head.weight', 'head.bias']
    assert.deepEqual(keepLocally(shuffled, ['last-layers:1']).kept, ['mid.weight', 'mid.bias'])
    const graph = { batchNorm: new Set<string>(), order }
    assert.deepEqual(keepLocally(shuffled, ['last-layers:1'], graph).kept, ['head.weight', 'head.bias'])
    assert.deepEqual(keepLocally(shuffled, ['last-layers:2'], graph).kept, [
      'head.weight',
      'head.bias',
      'mid.weight',
      'mid.bias',
    ])
    // The frozen table is no layer.
    assert.deepEqual(keepLocally(torch, ['last-layers:1']).kept, ['fc.weight', 'fc.bias'])
  })

  for (const [patterns, blamed, message] of [
    [['fc.*', 'head.*'], 'head.*', /"head\.\*" names no tensor that devices send; they are "conv.weight", /],
    [['table'], 'table', /names no tensor that devices send/],
    [['last-layers:0'], 'last-layers:0', /names no tensor/],
    [['*'], '*', /"\*" names every tensor that is averaged/],
    [['last-layers:4'], 'last-layers:4', /every tensor that is averaged/],
    [['*.weight', '*.bias'], null, /the patterns together name every tensor that is averaged/],
  ] as const) {
    test(`${patterns.join(' and ')} is refused by name`, () => {
      assert.throws(
        () => keepLocally(torch, patterns),
        (error: unknown) => {
          assert.ok(error instanceof KeepLocalError)
          assert.equal(error.pattern, blamed)
          assert.match(error.message, message)
          return true
        },
      )
    })
  }

  test('batch-norm of a model without any is refused', () => {
    assert.throws(() => keepLocally(manifestOf(['a.weight'], ['b.weight']), ['batch-norm']), {
      message: '"batch-norm" names no tensor that devices send: the model has no batch normalisation',
    })
  })
})
