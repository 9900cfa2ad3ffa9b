import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { asHolder, createLock, type LockHolder, lives, readLock, releaseLock, removeStaleLock } from './pid-lock.ts'

/** Another stack of the same clone and port base runs. */
export class StackRunningError extends Error {
  readonly pid: number

  constructor(pid: number, state: string) {
    super(
      `this clone's stack already runs with these ports (process ${pid}, state in ${state}); end it, or start a second one with --port-base N`,
    )
    this.name = 'StackRunningError'
    this.pid = pid
  }
}

const watchdogDeadlineMs = 20_000

/**
 * Takes the lock of a state folder; disposing releases it. A lock whose process is gone is taken over, once its watchdog
 * has ended what that process left.
 *
 * @throws StackRunningError when its holder lives.
 */
export async function lockState(state: string, watchdogPid: number): Promise<AsyncDisposable> {
  const file = join(state, 'lock')
  const own = await asHolder(watchdogPid)
  while (!(await createLock(file, own))) {
    const found = await readLock(file)
    if (found && (await lives(found.holder))) throw new StackRunningError(found.holder.pid, state)
    if (found) await watchdogDone(found)
    await removeStaleLock(file, found)
  }
  return { [Symbol.asyncDispose]: () => releaseLock(file) }
}

async function watchdogDone({ watchdog }: LockHolder): Promise<void> {
  const end = Date.now() + watchdogDeadlineMs
  while (Date.now() < end && (await lives(watchdog))) await delay(50)
}
