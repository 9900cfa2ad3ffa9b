import type { Refusal } from '@tributary/contracts/models'

/** Work on a version: `other` is the second one of a comparison. */
export type JobRef = {
  readonly kind: 'check' | 'export' | 'compare'
  readonly version: string
  readonly other: string | null
}

export type JobRow = JobRef & {
  readonly id: string
  readonly state: 'waiting' | 'done' | 'failed'
  readonly result: unknown
  readonly refusal: Refusal | null
}

/** A run that says nothing for so long is taken for dead, and another one starts. */
export const silentSeconds = 60
/** How often a run says that it lives. */
export const beatSeconds = 8
/** After so many runs without an end a job fails. */
export const mostRuns = 5
/** So many may wait at once; each is one range of files that somebody asked to be read. */
export const mostWaiting = 200
