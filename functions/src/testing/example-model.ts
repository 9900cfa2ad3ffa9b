import type { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'

/** A model of every policy that small numbers can be checked on by hand. */
export const exampleManifest: Manifest = {
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'w', dtype: 'F32', shape: [3], policy: 'average' },
    { name: 'steps', dtype: 'I64', shape: [1], policy: 'max' },
    { name: 'fixed', dtype: 'F32', shape: [2], policy: 'frozen' },
  ],
  inputs: [{ name: 'x', dtype: 'F32', shape: [null, 3] }],
  outputs: [{ name: 'y', dtype: 'F32', shape: [null, 3] }],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const bytes = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** The weights file with these values. */
export const exampleWeights = (w: readonly number[], steps: bigint): Uint8Array =>
  encodeSafetensors([
    { name: 'w', dtype: 'F32', shape: [3], bytes: bytes(Float32Array.from(w)) },
    { name: 'steps', dtype: 'I64', shape: [1], bytes: bytes(BigInt64Array.of(steps)) },
    { name: 'fixed', dtype: 'F32', shape: [2], bytes: bytes(Float32Array.of(9, -9)) },
  ])

export const exampleBase = (): Uint8Array => exampleWeights([1, 2, 3], 5n)

/**
 * A shard sum. Without clipping and with the default weight cap the exponent is 51 − log2(2^16 · 2^10) = 25.
 * @param w Σ δ · weight, in whole units of 1; scaled by 2^25 here
 */
export const exampleSum = (w: readonly number[], steps: bigint): Uint8Array =>
  encodeSafetensors([
    { name: 'sum/w', dtype: 'I64', shape: [3], bytes: bytes(BigInt64Array.from(w, value => BigInt(value) << 25n)) },
    { name: 'max/steps', dtype: 'I64', shape: [1], bytes: bytes(BigInt64Array.of(steps)) },
  ])
