import { type ErrorCode, errorCatalogue } from '@tributary/contracts/errors'
import type { FailedWork } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { NodeServices } from './node-services.ts'

const mostDetail = 500

/**
 * Takes down which work a device says it cannot do; resolves when that is durable. What is not its own, or is over, is passed
 * over: a check-in does not fail for it.
 * @throws TributaryError UNAVAILABLE while the lease is not held
 */
export const takeFailures = async (
  { tokens, leases, attempts, evaluations }: Pick<NodeServices, 'tokens' | 'leases' | 'attempts' | 'evaluations'>,
  { device, label, certificateSha256 }: KnownDevice,
  failed: readonly FailedWork[],
): Promise<void> => {
  for (const { token: text, ...declared } of failed) {
    const token = await tokens.read(text)
    if (token?.device !== device || token.certificateSha256 !== certificateSha256) continue
    const { shard, epoch } = token
    // Of an epoch that is over: what was promised in it is void, and the work is handed out anew.
    if (leases.epochOf(shard) !== epoch) continue
    const failure = readFailure(declared)
    if (token.work === 'training')
      await attempts.find(token, shard)?.fail({ device, label, ...failure }, declared.logTail)
    else if (token.work === 'evaluation')
      await evaluations.find(token.evaluation, shard)?.fail(device, failure, declared.logTail)
  }
}

const readFailure = ({ code, detail }: Pick<FailedWork, 'code' | 'detail'>): { code: ErrorCode; detail: string } => {
  const known = Object.hasOwn(errorCatalogue, code) ? (code as ErrorCode) : 'TRAINING_FAILED'
  return { code: known, detail: detail.slice(0, mostDetail) || errorCatalogue[known].message }
}
