import * as z from 'zod'
import { DerivedMetric } from './evaluation-metrics.ts'

const metric = DerivedMetric

/** What ends a task before its last round. They look at evaluations, so they act when these arrive. */
export const StopConditions = z
  .strictObject({
    /** Completed once a version reaches this: accuracy and whatever else grows with skill at least, loss and errors at most. */
    target: z.strictObject({ metric, value: z.number() }).optional(),
    /** Completed once so many evaluated rounds in a row are not better than the best before by `minimumDelta`. */
    patience: z
      .strictObject({ metric, rounds: z.int().min(1).max(10_000), minimumDelta: z.number().min(0).default(0) })
      .optional(),
    /** Failed with DIVERGED once the loss is not finite or passes this multiple of the lowest so far. */
    divergence: z.strictObject({ factor: z.number().gt(1).max(1e6) }).optional(),
    /** Completed with what it has once so much time has passed since the start; the round in flight is dropped. */
    seconds: z.int().min(1).max(31_536_000).optional(),
  })
  .prefault({})
export type StopConditions = z.infer<typeof StopConditions>
