import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectStore } from '../adapters/object-store.ts'
import { declaredParts, type VersionUpload } from './version-upload.ts'

/**
 * Makes one object of the parts that the store has. It trusts no list of the client's: each part must be there with the size and
 * sha256 that were declared. Where that happened before, nothing is left to do.
 * @throws TributaryError UPLOAD_MISSING naming the parts
 */
export const completeUpload = async (
  store: ObjectStore,
  { key, bytes }: { readonly key: string; readonly bytes: number },
  upload: VersionUpload,
  signal: AbortSignal,
): Promise<void> => {
  const stored = await store.partUploads.list(key, upload.upload, signal)
  if (stored === null) return
  const byNumber = new Map(stored.map(part => [part.part, part]))
  const declared = declaredParts(upload, bytes)
  const missing = declared.filter(({ part, start, end, sha256 }) => {
    const found = byNumber.get(part)
    return found === undefined || found.bytes !== end - start || found.sha256 !== sha256
  })
  if (missing.length > 0) {
    const numbers = missing.slice(0, 20).map(({ part }) => part)
    const detail = `weights: ${missing.length} of ${declared.length} parts are not uploaded (${numbers.join(', ')})`
    throw new TributaryError('UPLOAD_MISSING', { detail, extra: { parts: missing.map(({ part }) => part) } })
  }
  const parts = stored.filter(({ part }) => part <= declared.length)
  try {
    await store.partUploads.complete(key, upload.upload, parts, signal)
  } catch (error) {
    // Another request completed it in the meantime, and the store finds its parts gone.
    if ((await store.partUploads.list(key, upload.upload, signal)) !== null) throw error
  }
}
