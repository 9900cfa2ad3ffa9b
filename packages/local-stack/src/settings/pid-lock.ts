import { randomUUID } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import { processAlive } from '../processes/process-group.ts'

const LivingProcess = z.object({ pid: z.int().nonnegative(), born: z.string() })
export type LivingProcess = z.infer<typeof LivingProcess>

export const LockHolder = z.object({ holder: LivingProcess, watchdog: LivingProcess })
export type LockHolder = z.infer<typeof LockHolder>

/** This process as the holder of a lock; `watchdogPid` 0 when nothing ends what it leaves. */
export async function asHolder(watchdogPid = 0): Promise<LockHolder> {
  return { holder: await identify(process.pid), watchdog: await identify(watchdogPid) }
}

/** Creates the lock file with its content in one step, so that nobody reads half of it; false when there is one already. */
export async function createLock(file: string, holder: LockHolder): Promise<boolean> {
  const written = `${file}.${randomUUID()}`
  try {
    await writeFile(written, JSON.stringify(holder), { flag: 'wx', mode: 0o600 })
    await link(written, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(written, { force: true })
  }
}

const nobody: LivingProcess = { pid: 0, born: '' }

/** Who holds the lock, `nobody` where the file says nothing sensible; undefined when there is none. */
export async function readLock(file: string): Promise<LockHolder | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  try {
    return LockHolder.parse(JSON.parse(text))
  } catch {
    return { holder: nobody, watchdog: nobody }
  }
}

const retryMillis = 20

/**
 * Removes a lock whose holder is dead, if it is still the one that was seen. Only who holds the guard beside it may, so that
 * of many that saw the same stale lock none removes the next one. Returns after a pause when somebody else is at it.
 */
export async function removeStaleLock(file: string, seen: LockHolder | undefined): Promise<void> {
  if (seen === undefined) return
  const guard = `${file}.takeover`
  if (!(await createLock(guard, await asHolder()))) {
    const other = await readLock(guard)
    if (other !== undefined && !(await lives(other.holder))) await rm(guard, { force: true })
    await delay(retryMillis)
    return
  }
  try {
    if (isDeepStrictEqual(await readLock(file), seen)) await rm(file, { force: true })
  } finally {
    await rm(guard, { force: true })
  }
}

/** Removes the lock if this process holds it. */
export async function releaseLock(file: string): Promise<void> {
  if ((await readLock(file))?.holder.pid === process.pid) await rm(file, { force: true })
}

/** True while this very process lives, and not another one that got its number. */
export async function lives(process: LivingProcess): Promise<boolean> {
  return process.pid > 0 && processAlive(process.pid) && (await identify(process.pid)).born === process.born
}

/** With the start time in clock ticks, where the system tells it. */
async function identify(pid: number): Promise<LivingProcess> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return { pid, born: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '' }
}
