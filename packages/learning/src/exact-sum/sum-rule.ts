import type { ManifestTensor } from '@tributary/tensors/manifest'
import { sumExponent } from './exponent.ts'

/** What the round descriptor fixes about the sum; the same for every shard of an attempt. */
export interface SumRule {
  readonly weighting: 'examples' | 'uniform'
  /** W: larger weights are cut to it. */
  readonly weightCap: number
  /** N: most updates that the attempt may accept, over all regions. */
  readonly maxUpdates: number
  /** B: the largest magnitude of a delta, a power of two. */
  readonly bound: number
  /** B of buffers (running statistics). */
  readonly bufferBound: number
  /** C: the L2 norm to which devices clip; `null` for none. */
  readonly clippingNorm: number | null
}

/** The largest weight that an update can have: 1 where all count the same, which leaves the sum more bits for its values. */
export function largestWeight(rule: SumRule): number {
  return rule.weighting === 'uniform' ? 1 : rule.weightCap
}

export function boundOf(tensor: ManifestTensor, rule: SumRule): number {
  return tensor.buffer ? rule.bufferBound : rule.bound
}

/**
 * e of a tensor's sum.
 * @throws SumError SUM_WOULD_OVERFLOW
 */
export function exponentOf(tensor: ManifestTensor, rule: SumRule): number {
  const { maxUpdates } = rule
  return sumExponent({ bound: boundOf(tensor, rule), weightCap: largestWeight(rule), maxUpdates })
}
