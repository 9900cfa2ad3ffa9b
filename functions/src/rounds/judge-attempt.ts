import type { Reason } from './reason.ts'

/** What the shards of an attempt brought in, added up. */
export type AttemptTally = {
  /** Shards that did not report. */
  readonly missing: number
  readonly accepted: number
  /** Devices that reported no examples. */
  readonly empty: number
  readonly weight: bigint
}

/** Why an attempt that is in, or over, cannot be committed; null when it can. */
export const judgeAttempt = ({ missing, accepted, empty, weight }: AttemptTally, quorum: number): Reason | null => {
  const lost = missing === 0 ? '' : `, ${missing} shards did not report`
  if (weight === 0n && accepted + empty >= quorum) {
    return { code: 'ZERO_TOTAL_WEIGHT', detail: `every update reported zero examples (${empty} empty)${lost}` }
  }
  if (accepted < quorum || weight === 0n) {
    return { code: 'QUORUM_MISSED', detail: `${accepted} updates were accepted, ${quorum} are needed${lost}` }
  }
  return null
}
