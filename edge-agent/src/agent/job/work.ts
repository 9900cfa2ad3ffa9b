import type { EvaluationWork, TrainingWork } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { AttemptRef, Sha256, Slug, Uuid } from '@tributary/contracts/ids'
import { TrainerSettings } from '@tributary/contracts/round'
import * as z from 'zod'

const mebibyte = 2 ** 20
const maxManifestBytes = 32 * mebibyte
/** Graphs travel without weights: a few KB for most models, some MB of constants at most. */
export const maxGraphBytes = 256 * mebibyte
const Token = z.string().min(1).max(16_384)

/** Work as it arrives is a stranger's claim: these schemas are what the rest of the agent may rely on. */
const objectOf = (maxBytes: number) =>
  z.object({
    sha256: Sha256,
    bytes: z.bigint().positive().max(BigInt(maxBytes), `larger than the ${maxBytes} bytes accepted`).transform(Number),
  })

/** Token and files of a model. */
export const modelFilesOf = (maxModelBytes: number) => ({
  token: Token,
  weights: objectOf(maxModelBytes),
  manifest: objectOf(Math.min(maxModelBytes, maxManifestBytes)),
  graph: objectOf(Math.min(maxModelBytes, maxGraphBytes)).optional(),
})

const maxStatisticsBytes = 4 * mebibyte

/** What the owner's policy goes by; empty from older nodes. */
const namesOfWork = {
  taskName: z.string().max(1024),
  model: z.object({ id: z.string().max(64), name: z.string().max(1024) }),
}

const bundleOf = (maxModelBytes: number) => ({
  dataset: Slug,
  /** By which a data set that is declared so is normalised. */
  statistics: objectOf(Math.min(maxModelBytes, maxStatisticsBytes)).optional(),
  ...namesOfWork,
  ...modelFilesOf(maxModelBytes),
})

const trainingJobOf = (maxModelBytes: number) =>
  z.object({
    attempt: AttemptRef,
    ...bundleOf(maxModelBytes),
    /** Whom the task asks for; none: every device. */
    groups: z.array(z.string().max(128)).max(64),
    trainer: TrainerSettings,
    /** W: more examples count as so many. */
    weightCap: z.int().positive(),
    /** C, or null. */
    clippingNorm: z.number().positive().finite().nullable(),
    /** Training seed of this device in this round. */
    seed: z
      .string()
      .regex(/^(?:[0-9a-f]{2}){16,64}$/)
      .transform(hex => Uint8Array.from(Buffer.from(hex, 'hex'))),
    maxUpdateBytes: z
      .bigint()
      .positive()
      .transform(bytes => Number(bytes < BigInt(maxModelBytes) ? bytes : BigInt(maxModelBytes))),
  })
export type TrainingJob = z.infer<ReturnType<typeof trainingJobOf>>

const evaluationJobOf = (maxModelBytes: number) =>
  z.object({
    evaluation: Uuid,
    task: z.string().max(64),
    ...bundleOf(maxModelBytes),
    /** What to find beside the loss; none from older nodes. */
    metrics: z.array(z.string().max(64)).max(64).readonly(),
    // The loss is all that evaluation needs of the settings; smoothing is a matter of training.
    trainer: TrainerSettings.pick({
      framework: true,
      otherFrameworks: true,
      trainer: true,
      batchSize: true,
      loss: true,
      ignoreIndex: true,
      huberDelta: true,
    }),
  })
export type EvaluationJob = z.infer<ReturnType<typeof evaluationJobOf>>

/** What both kinds of work say about the model. */
export type ModelBundleRef = Pick<TrainingJob, 'token' | 'weights' | 'manifest' | 'graph'>

/** What both kinds of work say about the data. */
export type DataRef = Pick<TrainingJob, 'token' | 'dataset' | 'statistics'>

/** Work that no agent of this version should be given. The message tells of the work alone, never of this device. */
export class WorkError extends Error {
  override readonly name: string = 'WorkError'
}

/** A model that this agent does not take, or whose parts do not fit each other. */
export class ModelError extends WorkError {
  override readonly name = 'ModelError'
}

/** Checks training work. @param maxModelBytes largest object accepted. Throws WorkError that lists what is wrong. */
export const readTrainingWork = (work: TrainingWork, maxModelBytes: number): TrainingJob =>
  check(trainingJobOf(maxModelBytes), {
    attempt: work.attempt,
    ...namesIn(work),
    groups: work.groups,
    token: work.token,
    dataset: work.dataset,
    weights: work.base,
    manifest: work.manifest,
    graph: work.graph,
    statistics: work.statistics,
    trainer: settingsOf(work.trainer),
    weightCap: work.sum?.weightCap,
    clippingNorm: work.sum === undefined ? undefined : work.sum.clippingNorm === 0 ? null : work.sum.clippingNorm,
    seed: work.seed,
    maxUpdateBytes: work.maxUpdateBytes,
  } satisfies Record<keyof z.input<ReturnType<typeof trainingJobOf>>, unknown>)

/** Checks evaluation work; as above. */
export const readEvaluationWork = (work: EvaluationWork, maxModelBytes: number): EvaluationJob =>
  check(evaluationJobOf(maxModelBytes), {
    evaluation: work.evaluation,
    task: work.task,
    ...namesIn(work),
    token: work.token,
    dataset: work.dataset,
    weights: work.weights,
    manifest: work.manifest,
    graph: work.graph,
    statistics: work.statistics,
    metrics: work.metrics,
    trainer: settingsOf(work.trainer),
  } satisfies Record<keyof z.input<ReturnType<typeof evaluationJobOf>>, unknown>)

const namesIn = ({ taskName, model, modelName }: Pick<TrainingWork, 'taskName' | 'model' | 'modelName'>) => ({
  taskName,
  model: { id: model, name: modelName },
})

const settingsOf = (settings: TrainingWork['trainer']): unknown =>
  settings && { ...settings, trainer: settings.trainer === '' ? undefined : settings.trainer }

const check = <Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> => {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new WorkError(
    `The node handed out work that this agent does not take:\n${z.prettifyError(parsed.error).slice(0, 2000)}`,
  )
}
