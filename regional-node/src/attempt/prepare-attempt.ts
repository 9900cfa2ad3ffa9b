import { readFile } from 'node:fs/promises'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { ShardSum } from '@tributary/learning/exact-sum/shard-sum'
import { maxUpdateBytes } from '@tributary/learning/update/update-body'
import { Manifest } from '@tributary/tensors/manifest'
import type { CachedObject, ObjectCache } from '../storage/object-cache.ts'

const mostManifestBytes = 64 * 1024 * 1024

/** What an attempt needs before devices can be asked: its objects on disk, the manifest read, an empty sum. */
export type PreparedAttempt = Disposable & {
  readonly manifest: Manifest
  readonly maxUpdateBytes: number
  readonly sum: ShardSum
}

/**
 * @throws TributaryError CHECKSUM_MISMATCH, UNAVAILABLE
 * @throws Error when the manifest is none, or the rule leaves no room for an exact sum
 */
export const prepareAttempt = async (
  { base, manifest, graph, sum }: RoundDescriptor,
  cache: ObjectCache,
  signal: AbortSignal,
): Promise<PreparedAttempt> => {
  if (manifest.bytes > mostManifestBytes) throw new Error(`a manifest of ${manifest.bytes} bytes`)
  using held = new DisposableStack()
  const pin = async (object: typeof manifest): Promise<CachedObject> => held.use(await cache.acquire(object, signal))
  const manifestFile = await pin(manifest)
  await pin(base)
  if (graph !== null) await pin(graph)
  const parsed = Manifest.parse(JSON.parse(await readFile(manifestFile.path, 'utf8')))
  const pins = held.move()
  return {
    manifest: parsed,
    maxUpdateBytes: maxUpdateBytes(parsed),
    sum: new ShardSum(parsed, sum),
    [Symbol.dispose]: () => pins.dispose(),
  }
}
