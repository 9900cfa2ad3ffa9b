import { DTYPE_BYTES, type FloatDtype } from '@tributary/tensors/dtype'
import { readFloats } from '@tributary/tensors/floats'
import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import type { SafetensorsLayout } from '@tributary/tensors/safetensors/layout'
import type { PlacedTensor } from '@tributary/tensors/tensor'
import { bytesOf } from '@tributary/tensors/view'
import type { UpdatePart } from '../update/update-body.ts'
import { addQuantised } from './add-quantised.ts'
import { countUpdate } from './count-update.ts'
import { keepMaximum, lowestValues } from './maximum.ts'
import { checkShardSumHeader, elementsOf, shardSumEntry, shardSumLayout } from './shard-sum-layout.ts'
import { exponentOf, type SumRule } from './sum-rule.ts'

/** What a shard sum counts beside its values. */
export interface SumTotals {
  readonly updates: number
  /** Σw */
  readonly weight: bigint
}

/** One tensor's part of the sum, in a buffer of its own: in the file it need not be aligned. */
interface Term {
  readonly tensor: ManifestTensor
  readonly placed: PlacedTensor
  readonly bytes: Uint8Array
  /** 2^e; unused for `max`. */
  readonly unit: number
}

/** An exact shard sum in memory: 8 bytes for each averaged parameter, however many devices there are. */
export class ShardSum {
  readonly #rule: SumRule
  readonly #layout: SafetensorsLayout
  readonly #terms = new Map<string, Term>()
  #totals: SumTotals = { updates: 0, weight: 0n }

  /** @throws SumError SUM_WOULD_OVERFLOW when the rule leaves no room for an exact sum */
  constructor(manifest: Manifest, rule: SumRule) {
    this.#rule = rule
    this.#layout = shardSumLayout(manifest)
    for (const tensor of manifest.tensors) {
      const entry = shardSumEntry(tensor)
      if (entry === null) continue
      const placed = this.#layout.tensors.get(entry.name) as PlacedTensor
      const average = tensor.policy === 'average'
      const bytes = average
        ? bytesOf(new BigInt64Array(elementsOf(tensor)))
        : lowestValues(tensor.dtype, placed.byteLength)
      this.#terms.set(tensor.name, { tensor, placed, bytes, unit: average ? 2 ** exponentOf(tensor, rule) : 0 })
    }
  }

  /**
   * A sum as `chunks` wrote it, with its totals: what a node folded before it stopped.
   * @throws SumError SHARD_SUM_MALFORMED
   */
  static restore(manifest: Manifest, rule: SumRule, file: Uint8Array, totals: SumTotals): ShardSum {
    const sum = new ShardSum(manifest, rule)
    checkShardSumHeader(file, file.byteLength, sum.#layout)
    for (const { placed, bytes } of sum.#terms.values()) {
      bytes.set(file.subarray(placed.offset, placed.offset + placed.byteLength))
    }
    sum.#totals = totals
    return sum
  }

  get totals(): SumTotals {
    return this.#totals
  }

  /** Size of the file that `chunks` writes. */
  get fileBytes(): number {
    return this.#layout.fileBytes
  }

  /**
   * Adds an update that `checkUpdate` accepted.
   * @param parts as the check returned them
   * @throws SumError SUM_WOULD_OVERFLOW, before anything is added
   */
  add(body: Uint8Array, parts: readonly UpdatePart[], weight: number): void {
    this.countUpdate(weight)
    for (const { tensor, placed } of parts) {
      this.addSlice(tensor.name, 0, body.subarray(placed.offset, placed.offset + placed.byteLength), weight)
    }
  }

  /**
   * Counts an update whose slices follow; its values must have passed `UpdateCheck`.
   * @throws SumError SUM_WOULD_OVERFLOW when the update or its weight is beyond what the exponent allows for
   */
  countUpdate(weight: number): void {
    this.#totals = countUpdate(this.#totals, weight, this.#rule)
  }

  /**
   * Adds a range of one tensor of a counted update.
   * @param name of the tensor in the manifest
   * @param bytes whole elements in the tensor's dtype
   */
  addSlice(name: string, firstElement: number, bytes: Uint8Array, weight: number): void {
    const term = this.#terms.get(name)
    if (term === undefined) throw new RangeError(`tensor ${name} is not summed`)
    const { dtype, policy } = term.tensor
    const elements = bytes.byteLength / DTYPE_BYTES[dtype]
    const elementBytes = DTYPE_BYTES[term.placed.dtype]
    const start = firstElement * elementBytes
    const end = start + elements * elementBytes
    if (end > term.bytes.byteLength)
      throw new RangeError(`tensor ${name} has no ${elements} elements from ${firstElement}`)
    const range = term.bytes.subarray(start, end)
    if (policy === 'max') {
      keepMaximum(range, bytes, dtype)
    } else {
      const sum = new BigInt64Array(range.buffer, range.byteOffset, elements)
      addQuantised(sum, readFloats(bytes, dtype as FloatDtype), weight * term.unit)
    }
  }

  /** The shard-sum file in pieces, views of the live sum: write them before adding more. */
  *chunks(): Generator<Uint8Array> {
    yield this.#layout.header
    for (const { bytes } of this.#terms.values()) yield bytes
  }
}
