import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Manifest } from '@tributary/tensors/manifest'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import type { Tensor } from '@tributary/tensors/tensor'
import { bytesOf } from '@tributary/tensors/view'
import { encodeLocalUpdate } from './local-delta.ts'
import { writeLocalUpdate } from './local-update-file.ts'

const large = 300_000
const manifest: Manifest = {
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'w', dtype: 'F32', shape: [3, large / 3], policy: 'average' },
    { name: 'half', dtype: 'F16', shape: [3], policy: 'average' },
    { name: 'bf', dtype: 'BF16', shape: [3], policy: 'average' },
    { name: 'double', dtype: 'F64', shape: [2], policy: 'average' },
    { name: 'running_mean', dtype: 'F32', shape: [2], policy: 'average', buffer: true },
    { name: 'seen', dtype: 'I64', shape: [], policy: 'max' },
    { name: 'own', dtype: 'F32', shape: [1], policy: 'keep-local' },
    { name: 'table', dtype: 'F32', shape: [1], policy: 'frozen' },
  ],
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
}

const weights = (shift: number): Tensor[] =>
  manifest.tensors.map(({ name, dtype, shape }) => {
    const arrays: Record<string, ArrayBufferView> = {
      w: Float32Array.from({ length: large }, (_, index) => Math.sin(index + shift)),
      half: Uint16Array.of(0x3c00 + shift, 0x4000, 0x0001),
      bf: Uint16Array.of(0x3f80 + shift, 0x4000, 0x0001),
      double: Float64Array.of(1 / 3 + shift, 2),
      running_mean: Float32Array.of(100 * shift, 1),
      seen: BigInt64Array.of(2n ** 40n + BigInt(shift)),
      own: Float32Array.of(shift),
      table: Float32Array.of(7),
    }
    return { name, dtype, shape, bytes: bytesOf(arrays[name] as ArrayBufferView) }
  })

const inFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-update-'))
  try {
    await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

for (const clippingNorm of [null, 1e6, 0.5]) {
  test(`files give the body that memory gives, byte for byte, clipped to ${clippingNorm}`, () =>
    inFolder(async folder => {
      const [base, local, target] = ['base', 'local', 'update'].map(name => join(folder, name)) as [
        string,
        string,
        string,
      ]
      const [before, after] = [weights(0), weights(1)].map(encodeSafetensors) as [Uint8Array, Uint8Array]
      await writeFile(base, before)
      // Only what is sent, in another order.
      const sent = weights(1).filter(({ name }) => name !== 'own' && name !== 'table')
      await writeFile(local, encodeSafetensors(sent.reverse()))
      await writeLocalUpdate(manifest, { base, local, target }, clippingNorm)
      const expected = encodeLocalUpdate(manifest, decodeSafetensors(before), decodeSafetensors(after), clippingNorm)
      assert.deepEqual(await readFile(target), Buffer.from(expected))
    }))
}

test('a delta that is not finite is not scaled: the node refuses it by name', () =>
  inFolder(async folder => {
    const [base, local, target] = ['base', 'local', 'update'].map(name => join(folder, name)) as [
      string,
      string,
      string,
    ]
    await writeFile(base, encodeSafetensors(weights(0)))
    const broken = weights(1)
    new Float32Array(broken[0]?.bytes.buffer as ArrayBuffer)[5] = Number.NaN
    await writeFile(local, encodeSafetensors(broken))
    await writeLocalUpdate(manifest, { base, local, target }, 0.5)
    const expected = encodeLocalUpdate(
      manifest,
      decodeSafetensors(encodeSafetensors(weights(0))),
      decodeSafetensors(encodeSafetensors(broken)),
      0.5,
    )
    assert.deepEqual(await readFile(target), Buffer.from(expected))
  }))

test('a tensor that is missing or of another shape is named', () =>
  inFolder(async folder => {
    const [base, local, target] = ['base', 'local', 'update'].map(name => join(folder, name)) as [
      string,
      string,
      string,
    ]
    await writeFile(base, encodeSafetensors(weights(0)))
    await writeFile(local, encodeSafetensors(weights(1).filter(({ name }) => name !== 'half')))
    await assert.rejects(writeLocalUpdate(manifest, { base, local, target }, null), {
      code: 'TENSOR_MISSING',
      tensor: 'half',
    })
    await writeFile(
      local,
      encodeSafetensors(weights(1).map(each => (each.name === 'half' ? { ...each, shape: [1, 3] } : each))),
    )
    await assert.rejects(writeLocalUpdate(manifest, { base, local, target }, null), {
      code: 'TENSOR_MISMATCH',
      tensor: 'half',
    })
  }))
