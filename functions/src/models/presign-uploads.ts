import type { Uploads } from '@tributary/contracts/models'
import type { ObjectStore } from '../adapters/object-store.ts'
import { declaredParts, type VersionUpload } from './version-upload.ts'

/** Presigned addresses are good for so long. */
export const uploadSeconds = 3600

type DeclaredObject = { readonly key: string; readonly sha256: string; readonly bytes: number }

export type DeclaredBundle = {
  /** Null where it is derived. */
  readonly manifest: DeclaredObject | null
  readonly weights: DeclaredObject
  readonly graph: DeclaredObject | null
}

/** Addresses of whatever `isMissing` says is not there yet. Each takes exactly the declared bytes. */
export const presignUploads = async (
  store: ObjectStore,
  { manifest, weights, graph }: DeclaredBundle,
  upload: VersionUpload | null,
  isMissing: { file(object: DeclaredObject): Promise<boolean>; part(part: number): boolean } = everything,
): Promise<Uploads> => {
  const single = async (file: 'manifest' | 'weights' | 'graph', object: DeclaredObject | null): Promise<Uploads> =>
    object === null || !(await isMissing.file(object))
      ? {}
      : { [file]: await store.presignPut(object.key, object, uploadSeconds) }
  const inParts = async ({ upload: id }: VersionUpload, parts: ReturnType<typeof declaredParts>): Promise<Uploads> => ({
    weightsParts: await Promise.all(
      parts
        .filter(({ part }) => isMissing.part(part))
        .map(async ({ part, start, end, sha256 }) => {
          const target = { key: weights.key, upload: id, part }
          const presigned = await store.partUploads.presign(target, { sha256, bytes: end - start }, uploadSeconds)
          return { ...presigned, part, start, end }
        }),
    ),
  })
  return {
    ...(await single('manifest', manifest)),
    ...(upload === null
      ? await single('weights', weights)
      : await inParts(upload, declaredParts(upload, weights.bytes))),
    ...(await single('graph', graph)),
  }
}

const everything = { file: async () => true, part: () => true }
