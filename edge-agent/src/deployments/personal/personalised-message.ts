import type { MessageInitShape } from '@bufbuild/protobuf'
import type { PersonalisedSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { Personalised } from '@tributary/contracts/personalisation'
import type { Policy } from '../../policy/policy.ts'

/** What the node hears of fine-tuning: what the owner shares of it, and nothing of what was learnt. */
export const personalisedMessage = (
  { outcome, code, detail, metrics }: Personalised,
  share: Pick<Policy['share'], 'metrics' | 'logs'>,
): MessageInitShape<typeof PersonalisedSchema> => ({
  outcome,
  ...(code !== undefined && { code }),
  ...(detail !== undefined && (share.logs || code === 'POLICY_REFUSED') && { detail }),
  ...(metrics !== undefined && share.metrics && metricsIn(metrics)),
})

const metricsIn = ({ examples, before, after }: NonNullable<Personalised['metrics']>) => ({
  examples: BigInt(examples),
  lossBefore: before.loss,
  lossAfter: after.loss,
  ...(before.accuracy !== null && { accuracyBefore: before.accuracy }),
  ...(after.accuracy !== null && { accuracyAfter: after.accuracy }),
})
