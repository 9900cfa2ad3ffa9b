/** Why a task or an attempt ended: a code of the error catalogue, or one of those below, and a text for people. */
export type Reason = { readonly code: string; readonly detail: string }

// Not refusals, so not of the catalogue.
export const cancelledBy = (actor: string): Reason => ({ code: 'CANCELLED', detail: `Cancelled by ${actor}.` })
export const pausedBy = (actor: string): Reason => ({ code: 'PAUSED', detail: `Paused by ${actor}.` })
export const stoppedBy = ({ code, detail }: Reason): Reason => ({ code: 'STOPPED', detail: `${code}: ${detail}` })
export const dryRunDone: Reason = { code: 'DRY_RUN', detail: 'A dry run makes no version.' }
