/**
 * Sums of an evaluation: additive integers by name, so that those of any split of the examples over devices, shards and regions
 * add up to the same. Decimal text, as they travel and are kept behind the devices. Names ending in `_q20` count units of 2^-20.
 */
export type EvaluationSums = Readonly<Record<string, string>>

/** Units of a `_q20` in one. */
export const UNIT = 2 ** 20

/** Above so many classes there are no confusion counts, and above the other no counts by class. */
export const mostConfusedClasses = 32
export const mostCountedClasses = 1000

/** k of top-k; models of no more classes have none. */
export const topK = 5

/** Names of one report: three counts of each class, and some of their own. */
export const mostEvaluationSums = 3 * mostCountedClasses + 64

export const confusionCount = (actual: number, predicted: number): string => `confusion_${actual}_${predicted}`
/** Positions by their label, by what was predicted, and those where both agree. */
export const actualCount = (label: number): string => `actual_${label}`
export const predictedCount = (label: number): string => `predicted_${label}`
export const agreedCount = (label: number): string => `agreed_${label}`

/** A sum by name; 0 where nobody reported it. */
export const sumOf = (sums: EvaluationSums, name: string): bigint =>
  Object.hasOwn(sums, name) ? BigInt(sums[name] ?? 0) : 0n

/** A count by name: 0 where what was sent is below, which no count is. */
export const countOf = (sums: EvaluationSums, name: string): bigint => {
  const count = sumOf(sums, name)
  return count < 0n ? 0n : count
}

const carried = 2n ** 62n

/** A sum of any size as metrics that fit int64: what is left below 2^62 under its name, and the carry, where there is one, beside. */
export const wideEntries = (name: string, sum: bigint): [string, bigint][] => {
  const carry = sum / carried
  return [[name, sum % carried], ...(carry === 0n ? [] : [[`${name}_carry`, carry] as [string, bigint]])]
}

/** The sum that was sent as `wideEntries`, be it of many senders. */
export const wideSum = (sums: EvaluationSums, name: string): bigint =>
  sumOf(sums, name) + sumOf(sums, `${name}_carry`) * carried
