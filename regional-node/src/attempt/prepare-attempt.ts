import { readFile } from 'node:fs/promises'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { maxUpdateBytes } from '@tributary/learning/update/update-body'
import { Manifest } from '@tributary/tensors/manifest'
import type { UpdateRound } from '../kernels/update-round.ts'
import type { UpdateWorkers } from '../kernels/update-workers.ts'
import type { CachedObject, ObjectCache } from '../storage/object-cache.ts'
import { othersOf } from './objects-of-work.ts'

const mostManifestBytes = 64 * 1024 * 1024

/** What an attempt needs before devices can be asked: its objects on disk, the manifest read, its arithmetic at hand. */
export type PreparedAttempt = Disposable & {
  readonly maxUpdateBytes: number
  readonly round: UpdateRound
}

/**
 * @throws TributaryError CHECKSUM_MISMATCH, UNAVAILABLE
 * @throws Error when the manifest is none, or the rule leaves no room for an exact sum
 */
export const prepareAttempt = async (
  descriptor: RoundDescriptor,
  cache: ObjectCache,
  workers: UpdateWorkers,
  signal: AbortSignal,
): Promise<PreparedAttempt> => {
  const { base, manifest, sum } = descriptor
  if (manifest.bytes > mostManifestBytes) throw new Error(`a manifest of ${manifest.bytes} bytes`)
  using held = new DisposableStack()
  const pin = async (object: typeof manifest): Promise<CachedObject> => held.use(await cache.acquire(object, signal))
  const manifestFile = await pin(manifest)
  await pin(base)
  for (const object of othersOf(descriptor)) await pin(object)
  const parsed = Manifest.parse(JSON.parse(await readFile(manifestFile.path, 'utf8')))
  const round = held.use(workers.round(parsed, sum))
  const owned = held.move()
  return { maxUpdateBytes: maxUpdateBytes(parsed), round, [Symbol.dispose]: () => owned.dispose() }
}
