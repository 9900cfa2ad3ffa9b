import { create } from '@bufbuild/protobuf'
import { TributaryError } from '@tributary/contracts/errors'
import { PullModelRequestSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { ObjectCache, ObjectInfo } from '../state/object-cache.ts'
import { Backoff } from './backoff.ts'
import { isRetryable } from './call-error.ts'
import type { NodeClient } from './node-client.ts'

/** Failures in a row, without a byte of progress between them, before a pull is given up. */
const mostFailures = 4

/**
 * The bytes of one object: from the cache, or pulled into it. A pull that is cut goes on where it stopped; the whole is
 * checked by its sha256. Throws CallError, TributaryError LENGTH_MISMATCH and CHECKSUM_MISMATCH.
 */
export const pullObject = (
  cache: ObjectCache,
  client: NodeClient,
  token: string,
  info: ObjectInfo,
  signal: AbortSignal,
): Promise<Uint8Array> => pull(cache, client, token, info, signal, () => cache.read(info))

/** The same as a file under a name of one's own, which is never in memory as a whole: see `ObjectCache.link`. */
export const pullFile = async (
  cache: ObjectCache,
  client: NodeClient,
  token: string,
  info: ObjectInfo,
  signal: AbortSignal,
  target: string,
): Promise<void> => {
  await pull(cache, client, token, info, signal, async () => (await cache.link(info, target)) || undefined)
}

const pull = async <Held>(
  cache: ObjectCache,
  client: NodeClient,
  token: string,
  info: ObjectInfo,
  signal: AbortSignal,
  held: () => Promise<Held | undefined>,
): Promise<Held> => {
  const cached = await held()
  if (cached !== undefined) return cached
  const backoff = new Backoff()
  for (let failures = 0; ; ) {
    const before = await cache.resumeOffset(info)
    let failure: unknown
    try {
      await cache.write(info, offset => chunksOf(client, token, info, offset, signal))
      const whole = await held()
      if (whole !== undefined) return whole
    } catch (error) {
      signal.throwIfAborted()
      // A wrong hash may be damage on this device's disk or on the way; the pull then starts from nothing.
      const again = isRetryable(error) || (error instanceof TributaryError && error.code === 'CHECKSUM_MISMATCH')
      if (!again) throw error
      failure = error
    }
    const progressed = (await cache.resumeOffset(info)) > before
    if (progressed) backoff.reset()
    failures = progressed ? 0 : failures + 1
    if (failures >= mostFailures)
      throw (
        failure ??
        new TributaryError('LENGTH_MISMATCH', {
          detail: `Object ${info.sha256}: the node ended it early, ${failures} times.`,
        })
      )
    await backoff.wait(signal)
  }
}

async function* chunksOf(
  client: NodeClient,
  token: string,
  info: ObjectInfo,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const request = create(PullModelRequestSchema, { token, sha256: info.sha256, offset: BigInt(offset) })
  let first = true
  for await (const { totalBytes, chunk } of client.pullModel(request, signal)) {
    if (first && totalBytes !== BigInt(info.bytes)) {
      throw new TributaryError('LENGTH_MISMATCH', {
        detail: `Object ${info.sha256}: announced with ${info.bytes} bytes, streamed with ${totalBytes}.`,
      })
    }
    first = false
    yield chunk
  }
}
