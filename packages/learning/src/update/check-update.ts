import { type Dtype, isFloatDtype } from '@tributary/tensors/dtype'
import { readFloats } from '@tributary/tensors/floats'
import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import { quoteName } from '@tributary/tensors/safetensors/safetensors-error'
import { NORM_TOLERANCE } from '../exact-sum/exponent.ts'
import { boundOf, type SumRule } from '../exact-sum/sum-rule.ts'
import { sumOfSquares } from './clipping-norm.ts'
import { InvalidUpdateError } from './invalid-update-error.ts'
import { readUpdateHeader, type UpdatePart } from './update-body.ts'

/**
 * Checks an update's values slice by slice, before any of them is added. It never alters a value: the node's rounding
 * would show in the sum.
 */
export class UpdateCheck {
  readonly #rule: SumRule
  readonly #squares = new Map<string, number>()

  constructor(rule: SumRule) {
    this.#rule = rule
  }

  /**
   * @param bytes the next elements of the tensor: the norm is taken in their order
   * @throws InvalidUpdateError NOT_FINITE, OUT_OF_RANGE
   */
  addSlice(tensor: ManifestTensor, bytes: Uint8Array): void {
    const { name, dtype, policy } = tensor
    if (!isFloatDtype(dtype)) {
      checkIntegers(name, dtype, bytes)
      return
    }
    const values = readFloats(bytes, dtype)
    checkMagnitudes(name, values, policy === 'average' ? boundOf(tensor, this.#rule) : Number.MAX_VALUE)
    if (policy === 'average' && !tensor.buffer) {
      this.#squares.set(name, sumOfSquares(values, this.#squares.get(name)))
    }
  }

  /**
   * Ends the check: tensors are taken in manifest order, so that every node finds the same norm.
   * @returns the L2 norm of the deltas, buffers apart
   * @throws InvalidUpdateError NORM_EXCEEDED
   */
  finish(manifest: Manifest): number {
    const { clippingNorm } = this.#rule
    const squares = manifest.tensors.reduce((sum, { name }) => sum + (this.#squares.get(name) ?? 0), 0)
    const norm = Math.sqrt(squares)
    if (clippingNorm !== null && norm > NORM_TOLERANCE * clippingNorm) {
      const message = `the update's norm is ${norm}; devices clip to ${clippingNorm}`
      throw new InvalidUpdateError('NORM_EXCEEDED', message)
    }
    return norm
  }
}

/**
 * Checks a body that is in memory: header, names, shapes, values, norm.
 * @returns where its tensors are, in manifest order, and its norm
 * @throws InvalidUpdateError
 */
export function checkUpdate(
  body: Uint8Array,
  manifest: Manifest,
  rule: SumRule,
): { parts: UpdatePart[]; norm: number } {
  const parts = readUpdateHeader(body, body.byteLength, manifest)
  const check = new UpdateCheck(rule)
  for (const { tensor, placed } of parts) {
    check.addSlice(tensor, body.subarray(placed.offset, placed.offset + placed.byteLength))
  }
  return { parts, norm: check.finish(manifest) }
}

function checkMagnitudes(name: string, values: Float32Array | Float64Array, bound: number): void {
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number
    if (Math.abs(value) <= bound) continue
    if (!Number.isFinite(value)) throw new InvalidUpdateError('NOT_FINITE', `${quoteName(name)} holds ${value}`, name)
    throw new InvalidUpdateError('OUT_OF_RANGE', `${quoteName(name)} holds ${value}; the bound is ${bound}`, name)
  }
}

function checkIntegers(name: string, dtype: Dtype, bytes: Uint8Array): void {
  if (dtype === 'BOOL' && bytes.some(byte => byte > 1)) {
    throw new InvalidUpdateError('OUT_OF_RANGE', `${quoteName(name)} holds a BOOL that is neither 0 nor 1`, name)
  }
}
