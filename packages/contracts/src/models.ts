import * as z from 'zod'
import { DisplayName, Sha256, Timestamp, Uuid } from './ids.ts'

/** `POST /v1/models`. */
export const CreateModel = z.strictObject({ name: DisplayName, description: z.string().max(2000).default('') })
export type CreateModel = z.infer<typeof CreateModel>

const DeclaredFile = z.strictObject({
  sha256: Sha256,
  bytes: z
    .int()
    .min(1)
    .max(2 ** 40),
})

/** `POST /v1/models/{model}/versions`: declares the files of a bundle; the answer says where to put them. */
export const CreateVersion = z.strictObject({
  manifest: DeclaredFile,
  weights: DeclaredFile,
  /** Forward graph with the weights taken out; for ONNX models. */
  graph: DeclaredFile.optional(),
})
export type CreateVersion = z.infer<typeof CreateVersion>

/** One presigned upload: send exactly these headers. */
export const Upload = z.object({
  method: z.literal('PUT'),
  url: z.url(),
  headers: z.record(z.string(), z.string()),
  expiresAt: Timestamp,
})
export type Upload = z.infer<typeof Upload>

export const VersionUploads = z.object({
  version: Uuid,
  uploads: z.object({ manifest: Upload, weights: Upload, graph: Upload.optional() }),
})
export type VersionUploads = z.infer<typeof VersionUploads>

export const ModelView = z.object({
  id: Uuid,
  name: z.string(),
  description: z.string(),
  createdAt: Timestamp,
  latestVersion: Uuid.nullable(),
})
export type ModelView = z.infer<typeof ModelView>

export const VersionView = z.object({
  id: Uuid,
  model: Uuid,
  number: z.int().nonnegative(),
  state: z.enum(['uploading', 'ready']),
  sha256: Sha256,
  bytes: z.int(),
  parent: Uuid.nullable(),
  task: Uuid.nullable(),
  round: z.int().nullable(),
  accuracy: z.number().nullable(),
  loss: z.number().nullable(),
  evaluatedExamples: z.int(),
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
