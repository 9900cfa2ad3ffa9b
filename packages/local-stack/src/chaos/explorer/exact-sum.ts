import { createHash } from 'node:crypto'
import { examplesOf } from './scenario.ts'

/** What a device would send in a round, in units of the exact sum: any integer that only it would send. */
const deltaOf = (device: string, round: number): bigint =>
  BigInt.asIntN(52, BigInt(`0x${createHash('sha256').update(`${device}/${round}`).digest('hex').slice(0, 13)}`))

export type Sum = { readonly total: bigint; readonly weight: bigint }

/** Σ w·δ and Σ w over devices. */
export const sumOver = (devices: Iterable<string>, round: number): Sum => {
  let [total, weight] = [0n, 0n]
  for (const device of devices) {
    const w = BigInt(examplesOf.get(device) ?? 0)
    total += w * deltaOf(device, round)
    weight += w
  }
  return { total, weight }
}

export const versionOf = (base: string, { total, weight }: Sum): string =>
  createHash('sha256').update(`${base}/${total}/${weight}`).digest('hex')
