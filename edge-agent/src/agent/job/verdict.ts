import { type Verdict, VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'

/** What the agent does about a node's verdict. */
export type VerdictAction =
  /** Durable at the node: keep the body until the attempt is settled. */
  | { readonly kind: 'keep'; readonly receipt: string }
  /** Never wanted again. `fault` says that it is worth a warning. */
  | { readonly kind: 'drop'; readonly fault: boolean; readonly reason: string }
  /** The same bytes again, to the same node, after a wait. */
  | { readonly kind: 'retry'; readonly afterMillis: number }
  /** The shard moved. */
  | { readonly kind: 'redirect'; readonly endpoint: string }
  /** The token is of no use any more; a check-in brings another, for the same bytes. */
  | { readonly kind: 'check-in'; readonly reason: string }

/** Longest wait that a node may impose, ms. */
const mostRetryMillis = 60_000
const fewestRetryMillis = 100

const codeNames = new Map<number, string>(Object.entries(VerdictCode).map(([name, code]) => [code, name]))

/** The verdict table. An absent or unknown verdict asks for a check-in, which settles what is true. */
export const actionFor = (verdict: Verdict | undefined): VerdictAction => {
  const reason = reasonOf(verdict)
  switch (verdict?.code) {
    case VerdictCode.ACCEPTED:
    case VerdictCode.ALREADY:
      return { kind: 'keep', receipt: verdict.receipt }
    case VerdictCode.LATE:
    case VerdictCode.CANCELLED:
    case VerdictCode.WRONG_ATTEMPT:
    case VerdictCode.WRONG_BASE:
      return { kind: 'drop', fault: false, reason }
    case VerdictCode.INVALID:
    case VerdictCode.CONFLICT:
    case VerdictCode.TOO_BIG:
    case VerdictCode.UPGRADE:
      return { kind: 'drop', fault: true, reason }
    case VerdictCode.RETRY_AFTER:
      return {
        kind: 'retry',
        afterMillis: Math.min(mostRetryMillis, Math.max(fewestRetryMillis, verdict.retryAfterMillis)),
      }
    case VerdictCode.WRONG_SHARD:
      return { kind: 'redirect', endpoint: verdict.endpoint }
    // DESIGN section 8: with a new epoch devices send the same update again, under a new token.
    case VerdictCode.WRONG_EPOCH:
    case VerdictCode.UNAUTHORISED:
      return { kind: 'check-in', reason }
    case VerdictCode.UNSPECIFIED:
    case undefined:
      break
  }
  return { kind: 'check-in', reason: 'the node gave no verdict that this agent knows' }
}

const reasonOf = (verdict: Verdict | undefined): string => {
  if (verdict === undefined) return 'no verdict'
  const { code, errorCode, tensor, detail, minVersion } = verdict
  const parts = [
    codeNames.get(code) ?? `verdict ${code}`,
    errorCode,
    tensor && `tensor ${JSON.stringify(tensor)}`,
    detail,
    minVersion && `needs ${minVersion}`,
  ]
  return parts
    .filter(part => part !== '')
    .join(': ')
    .slice(0, 500)
}
