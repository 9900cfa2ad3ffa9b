/** Integers that add up exactly over devices, shards and regions, in any order. */
export interface EvaluationSums {
  readonly examples: bigint
  /** Examples whose most likely class is their label. */
  readonly correct: bigint
  /** Loss summed over the examples, in units of 2^-20. */
  readonly lossQ20: bigint
}

export interface EvaluationResult {
  readonly examples: bigint
  /** `null` when no example was evaluated; never NaN. */
  readonly accuracy: number | null
  /** Mean loss of an example; `null` as above. */
  readonly loss: number | null
}

const UNIT = 2 ** 20

export const NO_EVALUATION: EvaluationSums = { examples: 0n, correct: 0n, lossQ20: 0n }

/**
 * What one evaluator found, as integers. A loss that is not finite makes the evaluation count as none: n = 0.
 * @param loss summed over the examples
 */
export function evaluationSums(examples: number, correct: number, loss: number): EvaluationSums {
  if (!Number.isSafeInteger(examples) || !Number.isSafeInteger(correct) || correct < 0 || correct > examples) {
    throw new RangeError(`${correct} correct of ${examples} examples: two integers, 0 ≤ correct ≤ examples`)
  }
  if (!Number.isFinite(loss * UNIT)) return NO_EVALUATION
  return { examples: BigInt(examples), correct: BigInt(correct), lossQ20: BigInt(Math.round(loss * UNIT)) }
}

export function addEvaluations(a: EvaluationSums, b: EvaluationSums): EvaluationSums {
  return { examples: a.examples + b.examples, correct: a.correct + b.correct, lossQ20: a.lossQ20 + b.lossQ20 }
}

export function evaluationResult({ examples, correct, lossQ20 }: EvaluationSums): EvaluationResult {
  if (examples === 0n) return { examples, accuracy: null, loss: null }
  const n = Number(examples)
  return { examples, accuracy: Number(correct) / n, loss: Number(lossQ20) / UNIT / n }
}
