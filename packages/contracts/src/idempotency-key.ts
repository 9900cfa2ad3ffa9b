/** What an Idempotency-Key may be: visible ASCII, so that it fits any log and header. */
export const idempotencyKeyPattern = /^[\x21-\x7e]{8,64}$/
