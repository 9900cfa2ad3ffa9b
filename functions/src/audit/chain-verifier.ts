import type { AuditEntryView, auditFaults } from '@tributary/contracts/audit'
import { chainHash, genesisHash } from './chain.ts'

export type AuditFault = { readonly sequence: number; readonly fault: (typeof auditFaults)[number] }

/** Follows the chain entry by entry. Knows no database: an export is verified by the same code. */
export class ChainVerifier {
  /** First entry that is not as it was written. */
  fault: AuditFault | null = null
  /** The last entry that was looked at. */
  head: { readonly sequence: number; readonly hash: string }

  /** @param after the entry before the first one; @default what stands before all of them */
  constructor(after: { sequence: number; hash: string } = { sequence: 0, hash: genesisHash.toString('hex') }) {
    this.head = after
  }

  /** Takes the next entry. @returns false from the first fault on */
  take(entry: AuditEntryView): boolean {
    if (this.fault !== null) return false
    const { sequence, hash, previousHash } = entry
    const wanted = this.head.sequence + 1
    if (sequence !== wanted) this.fault = { sequence: wanted, fault: 'missing' }
    else if (previousHash !== this.head.hash) this.fault = { sequence, fault: 'unlinked' }
    else if (chainHash(Buffer.from(previousHash, 'hex'), entry).toString('hex') !== hash) {
      this.fault = { sequence, fault: 'changed' }
    }
    this.head = { sequence, hash }
    return this.fault === null
  }
}
