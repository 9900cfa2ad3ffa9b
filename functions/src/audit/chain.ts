import { createHash } from 'node:crypto'
import { canonicalJson } from './canonical-json.ts'

export type AuditRow = {
  readonly sequence: number
  /** ISO 8601 with milliseconds, UTC. */
  readonly time: string
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly detail: unknown
}

/** What stands before the first entry. */
export const genesisHash = Buffer.alloc(32)

/** hash = sha256(previous hash ‖ canonical JSON of the row). */
export const chainHash = (previous: Uint8Array, row: AuditRow): Buffer => {
  const { sequence, time, actor, action, subject, detail } = row
  return createHash('sha256')
    .update(previous)
    .update(canonicalJson({ sequence, time, actor, action, subject, detail }))
    .digest()
}
