import { AuditEntryView, type AuditHead } from '@tributary/contracts/audit'
import { genesisHash } from './chain.ts'
import { type AuditFault, ChainVerifier } from './chain-verifier.ts'

export type ExportVerification = {
  readonly valid: boolean
  readonly from: number
  readonly to: AuditHead
  readonly fault:
    | AuditFault
    | { readonly sequence: number; readonly fault: 'unreadable' | 'truncated' | 'replaced' }
    | null
}

export type ExportExpectation = {
  /** Number of the first entry; the hash before it is taken on trust unless it is 1. @default 1 */
  readonly from?: number
  /** An entry that was noted elsewhere: the export must reach it, with this hash. */
  readonly head?: AuditHead
}

/** Verifies an export (one entry a line, in their order) without the database. */
export const verifyExport = async (
  lines: AsyncIterable<string> | Iterable<string>,
  { from = 1, head }: ExportExpectation = {},
): Promise<ExportVerification> => {
  let verifier = new ChainVerifier()
  let begun = from === 1
  let fault: ExportVerification['fault'] = null
  for await (const line of lines) {
    if (line.trim() === '') continue
    const entry = readEntry(line)
    if (entry === null) {
      fault = { sequence: verifier.head.sequence + 1, fault: 'unreadable' }
      break
    }
    if (!begun) verifier = new ChainVerifier({ sequence: from - 1, hash: entry.previousHash })
    begun = true
    if (!verifier.take(entry)) break
    if (head !== undefined && entry.sequence === head.sequence && entry.hash !== head.hash) {
      fault = { sequence: entry.sequence, fault: 'replaced' }
      break
    }
  }
  const to = verifier.head
  fault ??= verifier.fault
  if (fault === null && head !== undefined && to.sequence < head.sequence) {
    fault = { sequence: to.sequence + 1, fault: 'truncated' }
  }
  return { valid: fault === null, from, to: to.sequence < from ? { sequence: from - 1, hash: genesis } : to, fault }
}

const genesis = genesisHash.toString('hex')

const readEntry = (line: string): AuditEntryView | null => {
  try {
    return AuditEntryView.parse(JSON.parse(line))
  } catch {
    return null
  }
}
