import * as z from 'zod'
import { AttemptRef, ObjectRef, Slug, Uuid } from './ids.ts'
import { MetricSums } from './round.ts'

const shardOfAttempt = AttemptRef.extend({
  region: Slug,
  shard: z.int().nonnegative(),
  epoch: z.int().positive(),
  node: Uuid,
})

/** What a shard contributes: the sum is in object storage, its participation list beside it. */
export const ShardSummed = shardOfAttempt.extend({
  /** Absent when no update of weight above zero was accepted. */
  sum: ObjectRef.nullable(),
  participation: ObjectRef,
  /** Sum of the integer weights, decimal. */
  weight: z.string().regex(/^\d{1,20}$/),
  /** Number of accepted updates. */
  accepted: z.int().nonnegative(),
  selected: z.int().nonnegative(),
  /** Devices that reported no examples: listed, weight 0. Tells a round without data from one that nobody answered. */
  empty: z.int().nonnegative(),
  /** Training metrics, summed over accepted updates. */
  metrics: MetricSums,
})
export type ShardSummed = z.infer<typeof ShardSummed>

/** Events from regions to central (exchange `tributary.events`, queue `central.events`). */
export const centralEvents = {
  'shard.summed': ShardSummed,
  'shard.failed': shardOfAttempt.extend({ code: z.string().max(64), detail: z.string().max(1000) }),
  'evaluation.summed': z.object({
    evaluation: Uuid,
    region: Slug,
    shard: z.int().nonnegative(),
    epoch: z.int().positive(),
    node: Uuid,
    evaluators: z.int().nonnegative(),
    metrics: MetricSums,
  }),
} as const
export type CentralEvents = typeof centralEvents
