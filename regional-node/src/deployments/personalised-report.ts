import type { Personalised as PersonalisedMessage } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Personalised } from '@tributary/contracts/personalisation'

/** What a device says of its fine-tuning, in the form in which it goes on; undefined for what nobody here knows. */
export const personalisedReport = (message: PersonalisedMessage | undefined): Personalised | undefined => {
  if (message === undefined) return undefined
  const { outcome, code, detail, examples, lossBefore, lossAfter, accuracyBefore, accuracyAfter } = message
  const metrics =
    examples === undefined
      ? undefined
      : {
          examples: Number(examples),
          before: { loss: lossBefore, accuracy: accuracyBefore ?? null },
          after: { loss: lossAfter, accuracy: accuracyAfter ?? null },
        }
  const parsed = Personalised.safeParse({
    outcome,
    ...(code && { code }),
    ...(detail && { detail: detail.slice(0, 500) }),
    ...(metrics && { metrics }),
  })
  return parsed.success ? parsed.data : undefined
}
