import { SumError } from './sum-error.ts'

/**
 * Adds one exact sum to another.
 * @throws SumError SUM_WOULD_OVERFLOW when an element leaves int64, which only sums beyond their bounds do; `into` is then spoilt
 */
export function addSums(into: BigInt64Array, from: BigInt64Array): void {
  if (into.length !== from.length) throw new RangeError(`cannot add ${from.length} elements to ${into.length}`)
  let overflow = 0n
  for (let i = 0; i < into.length; i += 1) {
    const a = into[i] as bigint
    const b = from[i] as bigint
    const sum = BigInt.asIntN(64, a + b)
    into[i] = sum
    // The sign bit is set where both summands have the sign that the sum has not.
    overflow = BigInt.asIntN(64, overflow | ((a ^ sum) & (b ^ sum)))
  }
  if (overflow < 0n)
    throw new SumError('SUM_WOULD_OVERFLOW', 'the sum of the shards leaves 64 bits: a shard sum is wrong')
}
