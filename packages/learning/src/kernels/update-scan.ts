import { DTYPE_BYTES, isFloatDtype } from '@tributary/tensors/dtype'
import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import { quoteName } from '@tributary/tensors/safetensors/safetensors-error'
import { NORM_TOLERANCE } from '../exact-sum/exponent.ts'
import { boundOf, type SumRule } from '../exact-sum/sum-rule.ts'
import { InvalidUpdateError } from '../update/invalid-update-error.ts'
import type { Kernels } from './kernels.ts'

/**
 * What `UpdateCheck` does, by kernels: checks an update's values slice by slice, tensors in any order. Faults are kept, so that
 * the one that is told does not depend on the order of tensors in a body.
 *
 * The sum of squares has another order than that of `UpdateCheck`, so the last bits of the norm may differ: a node only
 * compares it with 1.001 · C, where devices clip to C.
 */
export class UpdateScan {
  readonly #kernels: Kernels
  readonly #rule: SumRule
  readonly #squares = new Map<string, number>()
  readonly #faults = new Map<string, InvalidUpdateError>()
  #current: string | undefined

  constructor(kernels: Kernels, rule: SumRule) {
    this.#kernels = kernels
    this.#rule = rule
  }

  /**
   * Takes the next elements of a tensor; those of one tensor come one after the other, and all slices but its last hold a
   * multiple of 8 elements.
   * @param from address in the memory of the kernels
   */
  addSlice(tensor: ManifestTensor, from: number, bytes: number): void {
    const { name, dtype, policy } = tensor
    if (this.#faults.has(name)) return
    if (!isFloatDtype(dtype)) {
      if (dtype === 'BOOL' && this.#kernels.firstAboveOne(from, bytes) >= 0) {
        this.#refuse(name, 'OUT_OF_RANGE', `${quoteName(name)} holds a BOOL that is neither 0 nor 1`)
      }
      return
    }
    const count = bytes / DTYPE_BYTES[dtype]
    const bound = policy === 'average' ? boundOf(tensor, this.#rule) : Number.MAX_VALUE
    const index = this.#kernels.firstBeyond(dtype, from, count, bound)
    if (index >= 0) {
      const value = this.#kernels.element(dtype, from, index)
      if (Number.isFinite(value)) {
        this.#refuse(name, 'OUT_OF_RANGE', `${quoteName(name)} holds ${value}; the bound is ${bound}`)
      } else {
        this.#refuse(name, 'NOT_FINITE', `${quoteName(name)} holds ${value}`)
      }
      return
    }
    if (policy !== 'average' || tensor.buffer) return
    if (this.#current !== name) this.#kernels.clearSquares()
    this.#current = name
    this.#kernels.addSquares(dtype, from, count)
    this.#squares.set(name, this.#kernels.squares())
  }

  /**
   * Ends the check: tensors are taken in manifest order.
   * @returns the L2 norm of the deltas, buffers apart
   * @throws InvalidUpdateError NOT_FINITE, OUT_OF_RANGE, NORM_EXCEEDED
   */
  finish(manifest: Manifest): number {
    let squares = 0
    for (const { name } of manifest.tensors) {
      const fault = this.#faults.get(name)
      if (fault !== undefined) throw fault
      squares += this.#squares.get(name) ?? 0
    }
    const norm = Math.sqrt(squares)
    const { clippingNorm } = this.#rule
    if (clippingNorm !== null && norm > NORM_TOLERANCE * clippingNorm) {
      const message = `the update's norm is ${norm}; devices clip to ${clippingNorm}`
      throw new InvalidUpdateError('NORM_EXCEEDED', message)
    }
    return norm
  }

  #refuse(name: string, code: 'NOT_FINITE' | 'OUT_OF_RANGE', message: string): void {
    this.#faults.set(name, new InvalidUpdateError(code, message, name))
  }
}
