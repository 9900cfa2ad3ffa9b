import * as z from 'zod'
import { DerivedMetrics } from './evaluation-metrics.ts'
import { DisplayName, Sha256, Slug, Timestamp, Uuid } from './ids.ts'
import { TrainerSettings } from './round.ts'
import { ServerOptimizer } from './server-optimizer.ts'
import { CreateTask } from './tasks.ts'

/** `POST /v1/models`. */
export const CreateModel = z.strictObject({ name: DisplayName, description: z.string().max(2000).default('') })
export type CreateModel = z.infer<typeof CreateModel>

/** At most so many ready versions stay as `keepLast` says; of the others those younger than `keepDays`, and all that are referenced. */
export const Retention = z.strictObject({
  /** The newest so many ready versions stay in any case. */
  keepLast: z.int().min(1).max(1_000_000),
  /** Versions stay for so many days in any case. */
  keepDays: z.int().min(0).max(36_500),
})
export type Retention = z.infer<typeof Retention>

/** `PUT /v1/models/{model}`: what is absent stays as it is. */
export const UpdateModel = z.strictObject({
  description: z.string().max(2000).optional(),
  /** Null: versions stay until somebody deletes them. */
  retention: Retention.nullable().optional(),
})
export type UpdateModel = z.infer<typeof UpdateModel>

/** Size of every part of an upload but the last; a file of at most so many bytes goes up in one piece. */
export const uploadPartBytes = 64 * 1024 ** 2
/** 16 GiB of weights. */
export const mostUploadParts = 256

const DeclaredFile = z.strictObject({
  sha256: Sha256,
  bytes: z
    .int()
    .min(1)
    .max(2 ** 40),
})

/** Files above `uploadPartBytes` go up in parts of that size, and the sha256 of every part is declared. */
const DeclaredWeights = DeclaredFile.extend({ parts: z.array(Sha256).min(2).max(mostUploadParts).optional() })

/** `POST /v1/models/{model}/versions`: declares the files of a bundle; the answer says where to put them. */
export const CreateVersion = z.strictObject({
  /** Absent: it is derived from the weights, and from the graph where there is one. */
  manifest: DeclaredFile.optional(),
  weights: DeclaredWeights,
  /** Forward graph with the weights taken out; for ONNX models. */
  graph: DeclaredFile.optional(),
  /** For a derived manifest: what no file of weights tells. */
  manifestDefaults: z
    .strictObject({
      loss: TrainerSettings.shape.loss.default('softmax-cross-entropy'),
      labelKind: z.enum(['class-index', 'binary', 'real']).default('class-index'),
    })
    .optional(),
  notes: z.string().max(10_000).default(''),
})
export type CreateVersion = z.infer<typeof CreateVersion>

/** `POST /v1/models/{model}/statistics`: a version for a task of framework `statistics` to begin with. */
export const CreateStatistics = z.strictObject({
  /** Means and variances to find: one for each feature, one for each channel of images, or one for all features. */
  entries: z.int().min(1).max(65_536),
  notes: CreateVersion.shape.notes,
})
export type CreateStatistics = z.infer<typeof CreateStatistics>

/** `PUT /v1/models/{model}/versions/{version}`. */
export const UpdateVersion = z.strictObject({ notes: z.string().max(10_000) })
export type UpdateVersion = z.infer<typeof UpdateVersion>

/** One presigned upload: send exactly these headers. */
export const Upload = z.object({
  method: z.literal('PUT'),
  url: z.url(),
  headers: z.record(z.string(), z.string()),
  expiresAt: Timestamp,
})
export type Upload = z.infer<typeof Upload>

/** A part of the weights: bytes `start` to `end` (exclusive) of the file. */
export const PartUpload = Upload.extend({
  part: z.int().min(1).max(mostUploadParts),
  start: z.int().nonnegative(),
  end: z.int().positive(),
})
export type PartUpload = z.infer<typeof PartUpload>

/** What is to be uploaded; what is there already is absent. */
export const Uploads = z.object({
  manifest: Upload.optional(),
  /** The whole file, or its parts. */
  weights: Upload.optional(),
  weightsParts: z.array(PartUpload).optional(),
  graph: Upload.optional(),
})
export type Uploads = z.infer<typeof Uploads>

export const VersionUploads = z.object({ version: Uuid, uploads: Uploads })
export type VersionUploads = z.infer<typeof VersionUploads>

export const ModelView = z.object({
  id: Uuid,
  name: z.string(),
  description: z.string(),
  createdAt: Timestamp,
  latestVersion: Uuid.nullable(),
  retention: Retention.nullable(),
})
export type ModelView = z.infer<typeof ModelView>

/** `checking`: the files are looked at outside the request; `refused`: see `refusal`; `deleted`: only its row is left. */
export const VersionState = z.enum(['uploading', 'checking', 'ready', 'refused', 'deleted'])
export type VersionState = z.infer<typeof VersionState>

/** Why a check refused the files. */
export const Refusal = z.object({ code: z.string(), detail: z.string() })
export type Refusal = z.infer<typeof Refusal>

export const VersionView = z.object({
  id: Uuid,
  model: Uuid,
  number: z.int().nonnegative(),
  state: VersionState,
  refusal: Refusal.nullable(),
  notes: z.string(),
  /** Whether it is an ONNX model: has a forward graph. */
  graph: z.boolean(),
  /** Number of means and variances where it is feature statistics; null where it is a model. */
  statistics: z.int().positive().nullable(),
  sha256: Sha256,
  bytes: z.int(),
  parent: Uuid.nullable(),
  task: Uuid.nullable(),
  round: z.int().nullable(),
  accuracy: z.number().nullable(),
  loss: z.number().nullable(),
  evaluatedExamples: z.int(),
  /** What else its newest evaluation found: values of the sums. */
  results: DerivedMetrics,
  createdAt: Timestamp,
})
export type VersionView = z.infer<typeof VersionView>

/** `GET /v1/models/{model}/versions/{version}/download?format=`. */
export const Download = z.object({
  url: z.url(),
  sha256: Sha256,
  bytes: z.int(),
  expiresAt: Timestamp,
  filename: z.string(),
})
export type Download = z.infer<typeof Download>

/** `PUT /v1/models/{model}/aliases/{alias}`: promotes a version. */
export const SetAlias = z.strictObject({
  version: Uuid,
  /** Only if the alias names this version now; null: only if there is no such alias. Absent: in any case. */
  expected: Uuid.nullable().optional(),
})
export type SetAlias = z.infer<typeof SetAlias>

/** `POST /v1/models/{model}/aliases/{alias}/roll-back`: back to the version before. */
export const RollBackAlias = z.strictObject({ expected: Uuid.optional() })
export type RollBackAlias = z.infer<typeof RollBackAlias>

export const AliasView = z.object({
  alias: Slug,
  model: Uuid,
  version: Uuid,
  number: z.int().nonnegative(),
  /** Where rolling back leads to. */
  before: z.object({ version: Uuid, number: z.int().nonnegative() }).nullable(),
  changedAt: Timestamp,
  changedBy: z.string(),
})
export type AliasView = z.infer<typeof AliasView>

/** One change of an alias; `version` is null where it was deleted. */
export const AliasChange = z.object({
  action: z.enum(['promoted', 'rolled-back', 'deleted']),
  version: Uuid.nullable(),
  number: z.int().nonnegative().nullable(),
  changedAt: Timestamp,
  changedBy: z.string(),
})
export type AliasChange = z.infer<typeof AliasChange>

/** A version of a line: what made it, of what, with whom and how. */
export const LineageEntry = z.object({
  version: VersionView,
  /** Null for a version that was uploaded. */
  origin: z
    .object({
      task: Uuid,
      taskName: z.string(),
      round: z.int().positive(),
      attempt: z.int().positive(),
      regions: z.array(z.object({ region: Slug, devices: z.int().nonnegative(), weight: z.string() })),
      trainer: CreateTask.shape.trainer.unwrap(),
      aggregation: CreateTask.shape.aggregation.unwrap(),
      serverOptimizer: ServerOptimizer.unwrap(),
    })
    .nullable(),
})
export type LineageEntry = z.infer<typeof LineageEntry>

/** Distance of tensors a and b; null where it is not finite or not defined (of zeros, of what is not a number). */
export const TensorDistance = z.object({
  /** ‖a − b‖₂ / ‖a‖₂. */
  relativeL2: z.number().nullable(),
  maxAbsolute: z.number().nullable(),
  cosine: z.number().nullable(),
  /** ‖a‖₂ and ‖b‖₂. */
  norm: z.number().nullable(),
  otherNorm: z.number().nullable(),
})
export type TensorDistance = z.infer<typeof TensorDistance>

/** `GET …/compare?with=`: a is the version of the path, b the other one. */
export const VersionComparison = z.object({
  version: VersionView,
  other: VersionView,
  /** Over all tensors together. */
  whole: TensorDistance,
  tensorCount: z.int().nonnegative(),
  /** In manifest order; of models with more than 4096 tensors those with the largest relative distance. */
  tensors: z.array(TensorDistance.extend({ name: z.string() })).max(4096),
})
export type VersionComparison = z.infer<typeof VersionComparison>
