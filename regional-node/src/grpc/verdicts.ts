import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { type ErrorCode, errorCatalogue } from '@tributary/contracts/errors'
import { type Verdict, VerdictCode, VerdictSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { AttemptOutcome } from '@tributary/contracts/round'

const verdict = (fields: MessageInitShape<typeof VerdictSchema>): Verdict => create(VerdictSchema, fields)

/** Every verdict that a node gives, each with what is wrong and what to do. */
export const verdicts = {
  accepted: (receipt: string) => verdict({ code: VerdictCode.ACCEPTED, receipt }),
  already: (receipt: string) => verdict({ code: VerdictCode.ALREADY, receipt }),
  conflict: () =>
    verdict({
      code: VerdictCode.CONFLICT,
      detail: 'Another update of this device was taken for this attempt. It stands; drop this one.',
    }),
  declined: () =>
    verdict({
      code: VerdictCode.CONFLICT,
      detail: 'The device said that it cannot do this work. That stands; drop what came of it.',
    }),
  late: () =>
    verdict({ code: VerdictCode.LATE, detail: 'The shard has closed. Drop the update and check in for new work.' }),
  cancelled: () => verdict({ code: VerdictCode.CANCELLED, detail: 'The task was cancelled. Drop the update.' }),
  wrongAttempt: () =>
    verdict({
      code: VerdictCode.WRONG_ATTEMPT,
      detail: 'The device has no part in this attempt, or it is not known here. Check in for new work.',
    }),
  wrongEpoch: () =>
    verdict({
      code: VerdictCode.WRONG_EPOCH,
      detail: 'The shard was leased anew. Check in for a new token and send the update again.',
    }),
  wrongBase: () =>
    verdict({
      code: VerdictCode.WRONG_BASE,
      detail: 'The update was trained from another version than the attempt has.',
    }),
  invalid: (code: string, detail?: string, tensor = '') =>
    verdict({
      code: VerdictCode.INVALID,
      errorCode: code,
      tensor,
      detail: detail ?? errorCatalogue[code as ErrorCode]?.message ?? '',
    }),
  tooBig: (most: number) =>
    verdict({ code: VerdictCode.TOO_BIG, detail: `An update of this attempt has at most ${most} bytes.` }),
  retryAfter: (millis: number, detail: string) =>
    // Jitter, so that those who were refused together do not come back together.
    verdict({ code: VerdictCode.RETRY_AFTER, retryAfterMillis: Math.round(millis * (1 + Math.random() / 2)), detail }),
  /** No receipt: nothing of the update was taken. */
  full: (millis: number) =>
    verdict({
      code: VerdictCode.RETRY_AFTER,
      errorCode: 'NODE_FULL',
      retryAfterMillis: Math.round(millis * (1 + Math.random() / 2)),
      detail: errorCatalogue.NODE_FULL.message,
    }),
  unauthorised: (detail = errorCatalogue.TOKEN_INVALID.message) =>
    verdict({ code: VerdictCode.UNAUTHORISED, errorCode: 'TOKEN_INVALID', detail }),
  wrongShard: (endpoint: string) =>
    verdict({
      code: VerdictCode.WRONG_SHARD,
      endpoint,
      detail: endpoint === '' ? 'Nobody serves this shard now. Check in again.' : 'Another node leases this shard.',
    }),
  /** Of an attempt that this node does not play any more. */
  settled: (outcome: AttemptOutcome | undefined) =>
    outcome === undefined ? verdicts.wrongAttempt() : outcome === 'cancelled' ? verdicts.cancelled() : verdicts.late(),
} as const
