import * as z from 'zod'
import { EvaluationMetric } from './evaluation-metrics.ts'
import { AttemptRef, Labels, ObjectRef, Slug, Timestamp, Uuid } from './ids.ts'
import { Loss } from './loss.ts'

const share = z.number().min(0).lt(1)

/** Settings of optimisers and losses that have defaults of their own; absent in most tasks. */
export const trainingOptions = {
  /** μ of momentum and nesterov; 0.9 where absent. */
  momentum: share.optional(),
  /** Of adam and adamw; 0.9, 0.999 and 1e-8 where absent. */
  beta1: share.optional(),
  beta2: share.optional(),
  epsilon: share.optional(),
  /** λ; 0 where absent, 0.01 for adamw. */
  weightDecay: z.number().min(0).max(1000).optional(),
  /** Every batch's gradient is scaled down to this global norm. */
  gradientClippingNorm: z.number().positive().max(1e9).optional(),
  /** μ of FedProx: holds local weights near those the round began with. */
  proximal: z.number().min(0).max(1000).optional(),
  /** Of softmax-cross-entropy. */
  labelSmoothing: share.optional(),
  /** Class labels of this value do not count. */
  ignoreIndex: z.int32().optional(),
  /** δ of huber; 1 where absent. */
  huberDelta: z.number().positive().max(1e9).optional(),
}

/** `statistics` measures mean and variance of the features instead of training: every agent has it. */
const Framework = z.enum(['onnx', 'pytorch', 'keras', 'sklearn', 'statistics'])
export type Framework = z.infer<typeof Framework>

/** How devices train. */
export const TrainerSettings = z.object({
  framework: Framework,
  /** Where a device cannot train in `framework`: the first of these in which it can. */
  otherFrameworks: z.array(Framework).max(Framework.options.length).optional(),
  /** Name of training code installed on the device, the same in every framework; absent for the built-in ONNX trainer. */
  trainer: Slug.optional(),
  localEpochs: z.int().min(1).max(1000),
  batchSize: z.int().min(1).max(65_536),
  learningRate: z.number().positive().max(1000),
  optimizer: z.enum(['sgd', 'momentum', 'nesterov', 'adam', 'adamw']),
  loss: Loss,
  ...trainingOptions,
})
export type TrainerSettings = z.infer<typeof TrainerSettings>

/** All frameworks that devices of a task may train in, by preference. */
export const frameworksOf = ({
  framework,
  otherFrameworks = [],
}: Pick<TrainerSettings, 'framework' | 'otherFrameworks'>): readonly Framework[] => [framework, ...otherFrameworks]

/** States of a device that its agent reports at every check-in. */
export const deviceConditions = ['idle', 'charging', 'unmetered'] as const
export type DeviceCondition = (typeof deviceConditions)[number]

/** Who may take part. A device fits where every line fits. */
export const CohortPolicy = z.object({
  dataset: Slug,
  /** Any of these groups; empty: every device. */
  groups: z.array(Slug).max(64),
  minimumExamples: z.int().nonnegative(),
  /** All of these labels, with these values. */
  labels: Labels.optional(),
  /** All of these conditions hold when the device is selected. */
  conditions: z.array(z.enum(deviceConditions)).max(deviceConditions.length).optional(),
  /** Only these devices; absent: no limit. */
  devices: z.array(Uuid).min(1).max(1000).optional(),
})
export type CohortPolicy = z.infer<typeof CohortPolicy>

/** What fixes the exponent of the exact sum: DESIGN section 7. */
export const SumRule = z.object({
  weighting: z.enum(['examples', 'uniform']),
  /** W: integer weights above it are capped; <= 2^24. */
  weightCap: z
    .int()
    .min(1)
    .max(2 ** 24),
  /** N: most updates that the attempt may accept, over all regions. */
  maxUpdates: z
    .int()
    .min(1)
    .max(2 ** 31),
  /** B of average tensors: a power of two. */
  bound: z.number().positive(),
  /** B of buffers (running statistics): a power of two. */
  bufferBound: z.number().positive(),
  /** C, or null. */
  clippingNorm: z.number().positive().nullable(),
})
export type SumRule = z.infer<typeof SumRule>

/** The part of an attempt that one shard plays; counts are devices. */
export const ShardPlan = z.object({
  region: Slug,
  shard: z.int().nonnegative(),
  /** Pinned when the attempt opened; raised only when the lease changes before the shard is summed. */
  epoch: z.int().positive(),
  /** Close when so many updates are accepted. */
  goal: z.int().nonnegative(),
  /** Select so many (over-selection included). */
  select: z.int().nonnegative(),
})
export type ShardPlan = z.infer<typeof ShardPlan>

/** Everything a region needs to run its part of one attempt. */
export const RoundDescriptor = AttemptRef.extend({
  taskName: z.string(),
  /** Whose version the base is; absent from older centrals. */
  model: z.object({ id: Uuid, name: z.string() }).optional(),
  openedAt: Timestamp,
  /** Selection waits for further devices until then. */
  selectionDeadline: Timestamp,
  /** The shard closes by then, with whatever it has. */
  deadline: Timestamp,
  base: ObjectRef.extend({ version: Uuid, number: z.int().nonnegative() }),
  manifest: ObjectRef,
  graph: ObjectRef.nullable(),
  /** By which data sets declared `federated` are normalised; absent: none, as in older centrals. */
  statistics: ObjectRef.optional(),
  trainer: TrainerSettings,
  cohort: CohortPolicy,
  sum: SumRule,
  /** Hex; the seed of a device is H(task seed, round, device label). */
  taskSeed: z.string().regex(/^[0-9a-f]{2,64}$/),
  /** The shards of the region that this descriptor is sent to. */
  shards: z.array(ShardPlan).max(4096),
})
export type RoundDescriptor = z.infer<typeof RoundDescriptor>

/** Evaluation of one version by the evaluators of a region's shards. */
export const EvaluationDescriptor = z.object({
  evaluation: Uuid,
  task: Uuid,
  /** These two are absent from older centrals. */
  taskName: z.string().optional(),
  model: z.object({ id: Uuid, name: z.string() }).optional(),
  round: z.int().nonnegative(),
  weights: ObjectRef.extend({ version: Uuid, number: z.int().nonnegative() }),
  manifest: ObjectRef,
  graph: ObjectRef.nullable(),
  /** As in the rounds of the task. */
  statistics: ObjectRef.optional(),
  trainer: TrainerSettings,
  dataset: Slug,
  /** What to find beside the loss; absent: all that fits the labels. */
  metrics: z.array(EvaluationMetric).max(EvaluationMetric.options.length).optional(),
  /**
   * Share of the trainers that evaluate beside the evaluators, on held-out data of their own: 0 none, 1 all that are online
   * and have the data set. Drawn anew for each evaluation.
   */
  cohortShare: z.number().min(0).max(1).optional(),
  deadline: Timestamp,
  shards: z.array(z.object({ region: Slug, shard: z.int().nonnegative(), epoch: z.int().positive() })).max(4096),
})
export type EvaluationDescriptor = z.infer<typeof EvaluationDescriptor>

/** Additive integer metrics travel as decimal text, since sums pass 2^53. Names ending in `_q20` count units of 2^-20. */
export const MetricSums = z.record(z.string().regex(/^[a-z][a-z0-9_]{0,47}$/), z.string().regex(/^-?\d{1,30}$/))
export type MetricSums = z.infer<typeof MetricSums>

export const AttemptOutcome = z.enum(['committed', 'abandoned', 'cancelled'])
export type AttemptOutcome = z.infer<typeof AttemptOutcome>
