/** Why a task or an attempt ended: a code of the error catalogue (or CANCELLED) and a text for people. */
export type Reason = { readonly code: string; readonly detail: string }

/** Not a refusal, so not of the catalogue. */
export const cancelledBy = (actor: string): Reason => ({ code: 'CANCELLED', detail: `Cancelled by ${actor}.` })
