import { Sha256, Uuid } from '@tributary/contracts/ids'
import { Personalised } from '@tributary/contracts/personalisation'
import * as z from 'zod'

/** How fitting a deployed version to this device came out, as it survives a restart. It never leaves the device as it is. */
export const PersonalRecord = z.object({
  deployment: Uuid,
  /** Of weights, wish and data: the same is not done twice. */
  key: Sha256,
  result: Personalised,
  /** The owner asked for it, and nobody else is told. */
  own: z.literal(true).optional(),
  /** The owner has had it forgotten: it is not fitted again because others ask for it. */
  forgotten: z.literal(true).optional(),
  /** In the folder of deployments; absent unless the personal version is served. */
  weights: z.object({ sha256: Sha256, bytes: z.int().positive() }).optional(),
})
export type PersonalRecord = z.infer<typeof PersonalRecord>
