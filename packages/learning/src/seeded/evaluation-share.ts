import { deriveSeed } from './seed.ts'

/**
 * Whether a trainer is drawn to evaluate a version beside the evaluators: each with the probability `share`, by itself, so that the
 * draw is the same however the devices are spread over shards and in whatever order they arrive, and another for each version.
 * @param version sha256 of the version's weights, hex
 * @param share 0 nobody, 1 everybody
 * @param label stable name of the device
 */
export function inEvaluationShare(version: string, share: number, label: string): boolean {
  const seed = deriveSeed('evaluation-share', version, label)
  // 48 bits: exact in float64, and below 1 always.
  const drawn = seed.subarray(0, 6).reduce((number, byte) => number * 256 + byte, 0) / 2 ** 48
  return drawn < share
}
