/**
 * Divides a total in proportion to weights by largest remainder (Hamilton's method); equal remainders go to the first.
 * No share exceeds its weight as long as the total does not exceed their sum.
 * @param total a non-negative safe integer
 * @param weights non-negative safe integers, e.g. eligible devices of each shard
 * @returns integers that sum to the total; all zero when every weight is
 */
export function apportion(total: number, weights: readonly number[]): number[] {
  for (const value of [total, ...weights]) {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a non-negative safe integer`)
  }
  const sum = weights.reduce((all, weight) => all + BigInt(weight), 0n)
  if (sum === 0n) return weights.map(() => 0)
  const quotas = weights.map((weight, index) => {
    const share = BigInt(total) * BigInt(weight)
    return { index, whole: Number(share / sum), remainder: share % sum }
  })
  const shares = quotas.map(({ whole }) => whole)
  const left = total - shares.reduce((all, share) => all + share, 0)
  const byRemainder = quotas.toSorted((a, b) => Number(b.remainder > a.remainder) - Number(b.remainder < a.remainder))
  for (const { index } of byRemainder.slice(0, left)) shares[index] = (shares[index] as number) + 1
  return shares
}
