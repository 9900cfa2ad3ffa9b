import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
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

/** Creates the lock file; false when there is one already. */
export async function createLock(file: string, holder: LockHolder): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile(JSON.stringify(holder))
    } finally {
      await handle.close()
    }
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Who holds the lock; undefined when there is none or it was cut while it was written. */
export async function readLock(file: string): Promise<LockHolder | undefined> {
  try {
    return LockHolder.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return undefined
  }
}

/** Moved aside and looked at again, so that of two that saw the same stale lock only one removes it. */
export async function removeStaleLock(file: string, seen: LockHolder | undefined): Promise<void> {
  const aside = `${file}.${randomUUID()}`
  try {
    await rename(file, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const moved = await readLock(aside)
  if (moved && moved.holder.pid !== seen?.holder.pid && (await lives(moved.holder))) await rename(aside, file)
  else await rm(aside, { force: true })
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
