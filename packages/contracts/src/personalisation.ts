import * as z from 'zod'
import { Slug } from './ids.ts'
import { TrainerSettings } from './round.ts'

/** Most tensor names that a view lists; the number of all is beside them. */
export const mostKeptNames = 200

/**
 * Tensors that stay on the device: a pattern over their names, in which `*` stands for any characters, or `batch-norm` (parameters and
 * statistics of every batch normalisation), or `last-layers:N`.
 */
export const KeepLocal = z.string().min(1).max(256)

/** What of the model is each device's own, for one task. */
export const TaskPersonalisation = z.strictObject({
  /** Tensors whose values stay on the device and are there again in its next round; they override the model's manifest. */
  keepLocal: z.array(KeepLocal).min(1).max(64),
})
export type TaskPersonalisation = z.infer<typeof TaskPersonalisation>

/** What the patterns of a task were found to mean for its model. */
export const KeptLocal = z.object({
  /** As given, each with the number of tensors that it stands for. */
  patterns: z.array(z.object({ pattern: z.string(), tensors: z.int().positive() })),
  /** The tensors that stay on the device, in the order of the manifest: the first of them. */
  tensors: z.array(z.string()).max(mostKeptNames),
  /** All of them. */
  count: z.int().positive(),
})
export type KeptLocal = z.infer<typeof KeptLocal>

/**
 * Fine-tuning of a deployed version on each device, which then serves the better of the two. Nothing that it learns leaves the
 * device.
 */
export const Personalise = z.strictObject({
  /** The device's own data set of this name is trained on. */
  dataset: Slug,
  /** What both are compared on; absent: the part that the data set's split holds out. */
  heldOut: Slug.optional(),
  /** 0: nothing is trained, the device only puts in the tensors that the version's task kept local there. */
  localEpochs: z.int().min(0).max(1000),
  batchSize: TrainerSettings.shape.batchSize.default(32),
  learningRate: TrainerSettings.shape.learningRate,
  optimizer: TrainerSettings.shape.optimizer.default('sgd'),
  /** Absent: that of the model's manifest. */
  loss: TrainerSettings.shape.loss.optional(),
  /** Names of tensors, or patterns with `*`, that keep their values. */
  frozen: z.array(KeepLocal).max(64).default([]),
})
export type Personalise = z.infer<typeof Personalise>

const Measured = z.object({
  /** Mean over the held-out examples. */
  loss: z.number(),
  /** Null for real labels. */
  accuracy: z.number().min(0).max(1).nullable(),
})

/** What became of it on one device, as far as its owner lets that be known. */
export const Personalised = z.object({
  /**
   * `personal`: the fine-tuned version is served. `global`: it was not better on held-out data, so the version is served as it was
   * released. `refused`: by the owner's policy. `failed`: see the code. In all but the first the device serves the version as released.
   */
  outcome: z.enum(['personal', 'global', 'refused', 'failed']),
  /** Of the catalogue, of what was refused or failed. */
  code: z.string().max(64).optional(),
  detail: z.string().max(500).optional(),
  /** On held-out data; absent where the owner shares no metrics. */
  metrics: z.object({ examples: z.int().nonnegative(), before: Measured, after: Measured }).optional(),
})
export type Personalised = z.infer<typeof Personalised>
