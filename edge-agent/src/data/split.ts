import { hash } from 'node:crypto'
import type { ShareSplit } from './declarations/common.ts'

/**
 * Which rows a seeded share holds out: by the number of the row alone, so that rows that are added later move none of
 * those before from one part to the other.
 */
export const heldOutByShare = ({ share, seed }: ShareSplit): ((row: number) => boolean) => {
  const digest = hash('sha256', `tributary split ${seed}`, 'buffer')
  const [first, second] = [digest.readUInt32LE(0), digest.readUInt32LE(4)]
  const below = Math.round(share * 2 ** 32)
  return row => mix(mix((row >>> 0) ^ first) ^ Math.floor(row / 2 ** 32) ^ second) < below
}

/** Finaliser of MurmurHash3 (Appleby, 2011): every bit of the result depends on every bit of the value. */
const mix = (value: number): number => {
  let hashed = value ^ (value >>> 16)
  hashed = Math.imul(hashed, 0x85ebca6b)
  hashed = Math.imul(hashed ^ (hashed >>> 13), 0xc2b2ae35)
  return (hashed ^ (hashed >>> 16)) >>> 0
}
