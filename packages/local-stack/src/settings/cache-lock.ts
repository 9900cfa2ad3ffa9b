import { setTimeout as delay } from 'node:timers/promises'
import { asHolder, createLock, lives, readLock, releaseLock, removeStaleLock } from './pid-lock.ts'

/**
 * Takes a lock in the cache that all clones share, waiting while a living process holds it; disposing releases it.
 *
 * @throws the signal's reason, or Error after `deadlineSeconds`.
 */
export async function lockCache(file: string, deadlineSeconds: number, signal: AbortSignal): Promise<AsyncDisposable> {
  const own = await asHolder()
  const end = Date.now() + deadlineSeconds * 1000
  while (!(await createLock(file, own))) {
    signal.throwIfAborted()
    const found = await readLock(file)
    if (found && (await lives(found.holder))) {
      if (Date.now() > end)
        throw new Error(`process ${found.holder.pid} has held ${file} for ${deadlineSeconds} s; end it`)
      await delay(200, undefined, { signal })
    } else {
      await removeStaleLock(file, found)
    }
  }
  return { [Symbol.asyncDispose]: () => releaseLock(file) }
}
