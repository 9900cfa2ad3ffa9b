import * as z from 'zod'
import { Uuid } from './ids.ts'
import { MetricSums } from './round.ts'

/** One device's part in an attempt; a participation list is one JSON object a line, ordered by device id. */
export const Participation = z.object({
  device: Uuid,
  label: z.string().max(63),
  /** `invalid`: the node refused what came. `failed`: the device said that it cannot do the work. */
  verdict: z.enum(['accepted', 'empty', 'invalid', 'failed', 'late', 'no-show', 'discarded']),
  /** Catalogue code where the verdict has a reason. */
  code: z.string().max(64).optional(),
  detail: z.string().max(500).optional(),
  examples: z.int().nonnegative().optional(),
  weight: z.int().nonnegative().optional(),
  bytes: z.int().nonnegative().optional(),
  seconds: z.number().nonnegative().optional(),
  sha256: z.string().optional(),
  metrics: MetricSums.optional(),
})
export type Participation = z.infer<typeof Participation>
