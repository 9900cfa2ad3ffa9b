import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import type { Tensor } from '@tributary/tensors/tensor'
import { encodeUpdate, maxUpdateBytes, readUpdateHeader, updateLayout } from './update-body.ts'

const manifest = Manifest.parse({
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'weight', dtype: 'F32', shape: [2, 3], policy: 'average' },
    { name: 'personal', dtype: 'F32', shape: [9], policy: 'keep-local' },
    { name: 'steps', dtype: 'I64', shape: [], policy: 'max' },
    { name: '__proto__', dtype: 'F16', shape: [1], policy: 'average' },
    { name: 'table', dtype: 'F32', shape: [5], policy: 'frozen' },
  ],
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})

const weight: Tensor = { name: 'delta/weight', dtype: 'F32', shape: [2, 3], bytes: new Uint8Array(24) }
const steps: Tensor = { name: 'value/steps', dtype: 'I64', shape: [], bytes: new Uint8Array(8) }
const proto: Tensor = { name: 'delta/__proto__', dtype: 'F16', shape: [1], bytes: new Uint8Array(2) }

const read = (tensors: Tensor[]) => {
  const body = encodeSafetensors(tensors)
  return readUpdateHeader(body, body.byteLength, manifest)
}

test('an update holds deltas of averaged tensors and values of maxima, nothing else', () => {
  const layout = updateLayout(manifest)
  assert.deepEqual([...layout.tensors.keys()], ['delta/weight', 'value/steps', 'delta/__proto__'])
  assert.equal(layout.fileBytes, layout.header.byteLength + 24 + 8 + 2)
  assert.equal(maxUpdateBytes(manifest), 8 + 1024 * 1024 + 34)
})

test('order in the body does not matter', () => {
  const names = read([proto, weight, steps]).map(({ tensor }) => tensor.name)
  assert.deepEqual(names, ['weight', 'steps', '__proto__'])
})

test('what a device encodes is what a node reads', () => {
  const content = new Map([
    ['weight', new Uint8Array(24).fill(1)],
    ['steps', new Uint8Array(8).fill(2)],
    ['__proto__', new Uint8Array(2).fill(3)],
    ['personal', new Uint8Array(36)],
  ])
  const body = encodeUpdate(manifest, content)
  assert.equal(body.byteLength, updateLayout(manifest).fileBytes)
  for (const { tensor, placed } of readUpdateHeader(body, body.byteLength, manifest)) {
    assert.deepEqual(body.slice(placed.offset, placed.offset + placed.byteLength), content.get(tensor.name))
  }
  content.delete('steps')
  assert.throws(() => encodeUpdate(manifest, content), { code: 'TENSOR_MISSING', tensor: 'steps' })
})

test('tensors missing, extra, renamed, reshaped or of another dtype are refused by name', () => {
  const refused = (code: string, tensor: string, tensors: Tensor[]) => {
    assert.throws(() => read(tensors), { name: 'InvalidUpdateError', code, tensor })
  }
  refused('TENSOR_MISSING', 'steps', [weight, proto])
  refused('TENSOR_MISSING', 'weight', [{ ...weight, name: 'weight' }, steps, proto])
  refused('TENSOR_UNEXPECTED', 'delta/personal', [weight, steps, proto, { ...weight, name: 'delta/personal' }])
  refused('TENSOR_UNEXPECTED', 'delta/steps', [weight, steps, proto, { ...steps, name: 'delta/steps' }])
  refused('TENSOR_MISMATCH', 'weight', [{ ...weight, shape: [3, 2] }, steps, proto])
  refused('TENSOR_MISMATCH', 'weight', [{ ...weight, shape: [6] }, steps, proto])
  refused('TENSOR_MISMATCH', 'weight', [{ ...weight, dtype: 'I32' }, steps, proto])
})

test('a malformed body is refused with the cause', () => {
  assert.throws(
    () => readUpdateHeader(new Uint8Array(4), 4, manifest),
    (error: Error & { code?: string }) => {
      return error.code === 'BODY_MALFORMED' && (error.cause as { code?: string }).code === 'TRUNCATED'
    },
  )
  const body = encodeSafetensors([weight, steps, proto])
  assert.throws(() => readUpdateHeader(body, body.byteLength + 1, manifest), { code: 'BODY_MALFORMED' })
})
