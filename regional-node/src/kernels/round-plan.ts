import { elementsOf, shardSumEntry, shardSumLayout } from '@tributary/learning/exact-sum/shard-sum-layout'
import { exponentOf, type SumRule } from '@tributary/learning/exact-sum/sum-rule'
import { KERNEL_SLACK_BYTES, scratchBytes } from '@tributary/learning/kernels/kernels'
import type { UpdatePart } from '@tributary/learning/update/update-body'
import { DTYPE_BYTES } from '@tributary/tensors/dtype'
import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import type { SafetensorsLayout } from '@tributary/tensors/safetensors/layout'

/** Most bytes of an update that are worked on at a time: with their sums they fit into a core's own cache. A multiple of 64. */
export const SLICE_BYTES = 256 * 1024
/** Sums of a slice take most room where its elements are of 16 bits. */
export const SLICE_SUM_BYTES = 4 * SLICE_BYTES

/** A tensor that is summed. */
export type SumTerm = {
  readonly tensor: ManifestTensor
  readonly elements: number
  /** Bytes of an element of the update, and of the sum. */
  readonly updateElementBytes: number
  readonly sumElementBytes: number
  /** 2^e; unused for `max`. */
  readonly unit: number
  /** Address in a sum's memory. */
  readonly address: number
}

/** What follows from manifest and rule, once for each attempt: the same in every thread. */
export type RoundPlan = {
  readonly manifest: Manifest
  readonly rule: SumRule
  readonly layout: SafetensorsLayout
  /** By tensor name, in manifest order. */
  readonly terms: ReadonlyMap<string, SumTerm>
  /** Size of a sum's memory. */
  readonly memoryBytes: number
}

/** Places in a sum's memory: progress of the running addition, scratch of the kernels, a slice of an update, then the terms. */
export const PROGRESS_ADDRESS = 0
export const SCRATCH_ADDRESS = 64
export const SLICE_ADDRESS = aligned(SCRATCH_ADDRESS + scratchBytes(SLICE_BYTES))
const termsAddress = aligned(SLICE_ADDRESS + SLICE_BYTES + KERNEL_SLACK_BYTES)
/** The same memory without terms, with room for the sums of a slice: what a thread has of its own. */
export const SLICE_SUM_ADDRESS = termsAddress
export const OWN_MEMORY_BYTES = termsAddress + SLICE_SUM_BYTES + KERNEL_SLACK_BYTES

/** @throws SumError SUM_WOULD_OVERFLOW when the rule leaves no room for an exact sum */
export function planRound(manifest: Manifest, rule: SumRule): RoundPlan {
  const terms = new Map<string, SumTerm>()
  let address = termsAddress
  for (const tensor of manifest.tensors) {
    const entry = shardSumEntry(tensor)
    if (entry === null) continue
    const elements = elementsOf(tensor)
    const sumElementBytes = DTYPE_BYTES[entry.dtype]
    const unit = tensor.policy === 'average' ? 2 ** exponentOf(tensor, rule) : 0
    const updateElementBytes = DTYPE_BYTES[tensor.dtype]
    terms.set(tensor.name, { tensor, elements, updateElementBytes, sumElementBytes, unit, address })
    address = aligned(address + elements * sumElementBytes + KERNEL_SLACK_BYTES)
  }
  return { manifest, rule, layout: shardSumLayout(manifest), terms, memoryBytes: address }
}

/** A range of a tensor that is worked on at a time. */
export type Slice = {
  readonly term: SumTerm
  readonly firstElement: number
  readonly elements: number
  /** Offset in the body. */
  readonly offset: number
  readonly bytes: number
}

/** Cuts tensors into slices, in the order given, each front to back. */
export function* slicesOf(terms: RoundPlan['terms'], parts: readonly UpdatePart[]): Generator<Slice> {
  for (const { tensor, placed } of parts) {
    const term = terms.get(tensor.name)
    if (term === undefined) throw new Error(`tensor ${tensor.name} is not summed`)
    const { updateElementBytes } = term
    for (let at = 0; at < placed.byteLength; at += SLICE_BYTES) {
      const bytes = Math.min(SLICE_BYTES, placed.byteLength - at)
      const elements = bytes / updateElementBytes
      yield { term, firstElement: at / updateElementBytes, elements, offset: placed.offset + at, bytes }
    }
  }
}

/** How many slices every update has, whatever the order of its tensors. */
export function slicesOfUpdate({ terms }: Pick<RoundPlan, 'terms'>): number {
  let slices = 0
  for (const { elements, updateElementBytes } of terms.values())
    slices += Math.ceil((elements * updateElementBytes) / SLICE_BYTES)
  return slices
}

function aligned(address: number): number {
  return Math.ceil(address / 64) * 64
}
