import { AttemptRef, Sha256 } from '@tributary/contracts/ids'
import * as z from 'zod'

/** Additive integer metrics of one job, by name. */
export const IntegerMetrics = z
  .array(z.object({ name: z.string().regex(/^[a-z][a-z0-9_]{0,47}$/), value: z.string().regex(/^-?\d{1,19}$/) }))
  .max(64)
export type IntegerMetrics = z.infer<typeof IntegerMetrics>

/** A finished update on disk: what is sent, and the node's receipt once there is one. */
export const KeptUpdate = z.strictObject({
  attempt: AttemptRef,
  baseSha256: Sha256,
  sha256: Sha256,
  bytes: z.int().positive(),
  /** Seen in one local epoch. */
  examples: z.int().nonnegative(),
  trainSeconds: z.number().nonnegative(),
  metrics: IntegerMetrics,
  /** What it tells where it was not trained; for the owner. */
  about: z.string().max(256).optional(),
  /** Compact JWS. */
  receipt: z.string().max(16_384).optional(),
  keptAt: z.iso.datetime(),
})
export type KeptUpdate = z.infer<typeof KeptUpdate>
