import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Manifest, weightsLayout } from './manifest.ts'

const weight = { name: 'dense.weight', dtype: 'F32', shape: [3, 2], policy: 'average' }

const manifest = (tensors: unknown[], rest: object = {}) => ({
  format: 'tributary.manifest/1',
  tensors,
  inputs: [{ name: 'image', dtype: 'F32', shape: [null, 784] }],
  outputs: [{ name: 'logits', dtype: 'F32', shape: [null, 10] }],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
  ...rest,
})

const faults = (value: unknown) => {
  const result = Manifest.safeParse(value)
  return result.success ? [] : result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
}

test('weights lie in manifest order behind the header', () => {
  const parsed = Manifest.parse(
    manifest([weight, { name: '__proto__', dtype: 'I64', shape: [], policy: 'max', buffer: true }]),
  )
  const layout = weightsLayout(parsed)
  const [first, second] = [...layout.tensors.values()]
  assert.deepEqual(first, {
    name: 'dense.weight',
    dtype: 'F32',
    shape: [3, 2],
    offset: layout.header.byteLength,
    byteLength: 24,
  })
  assert.equal(second?.name, '__proto__')
  assert.equal(second?.offset, layout.header.byteLength + 24)
  assert.equal(layout.fileBytes, layout.header.byteLength + 32)
})

test('two tensors of one name are refused by place', () => {
  assert.deepEqual(faults(manifest([weight, weight])), ['tensors.1.name: is the name of another entry too'])
})

test('integers cannot be averaged', () => {
  assert.deepEqual(faults(manifest([{ ...weight, dtype: 'I64' }])), [
    'tensors.0.policy: only floating-point tensors can be averaged; use max, keep-local or frozen',
  ])
})

test('shapes beyond counting are refused', () => {
  assert.deepEqual(faults(manifest([{ ...weight, shape: [2 ** 40, 2 ** 40] }])), [
    'tensors.0.shape: is too large to count',
  ])
  const huge = { ...weight, shape: [2 ** 50] }
  assert.deepEqual(faults(manifest([huge, { ...huge, name: 'b' }, { ...huge, name: 'c' }])), [
    'tensors: are too large together',
  ])
})

test('a manifest whose files would have headers beyond the limit of readers is refused', () => {
  const named = (length: number) => Array.from({ length }, (_, i) => ({ ...weight, name: `layer.${i}.weight` }))
  const most = Manifest.parse(manifest(named(8_000)))
  assert.ok(weightsLayout(most).header.byteLength < 1024 * 1024)
  assert.match(faults(manifest(named(9_000)))[0] as string, /^tensors: are too many/)
})

test('what does not belong in a manifest is refused', () => {
  for (const wrong of [
    manifest([]),
    manifest([{ ...weight, shape: Array(17).fill(1) }]),
    manifest([{ ...weight, shape: [-1] }]),
    manifest([{ ...weight, shape: [1.5] }]),
    manifest([{ ...weight, shape: [null] }]),
    manifest([{ ...weight, dtype: 'F8' }]),
    manifest([{ ...weight, name: '' }]),
    manifest([{ ...weight, name: 'x'.repeat(513) }]),
    manifest([{ ...weight, name: '\ud800' }]),
    manifest([{ ...weight, name: '__metadata__' }]),
    manifest([{ ...weight, policy: 'median' }]),
    manifest([weight], { format: 'tributary.manifest/2' }),
    manifest([weight], { code: 'import os' }),
    manifest(Array.from({ length: 65_537 }, (_, index) => ({ ...weight, name: `t${index}` }))),
    null,
    [],
  ]) {
    assert.notDeepEqual(faults(wrong), [])
  }
})
