import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import * as z from 'zod'
import { processAlive } from '../processes/process-group.ts'

const Holder = z.object({
  pid: z.int().positive(),
  born: z.string(),
  watchdogPid: z.int().nonnegative(),
  watchdogBorn: z.string(),
})
type Holder = z.infer<typeof Holder>

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
 * Takes the lock of a state folder; disposing releases it. A lock whose process is gone is taken over, after its watchdog
 * has ended what that process left.
 *
 * @throws StackRunningError when its holder lives.
 */
export async function lockState(state: string, watchdogPid: number): Promise<AsyncDisposable> {
  const file = join(state, 'lock')
  const own = {
    pid: process.pid,
    born: await born(process.pid),
    watchdogPid,
    watchdogBorn: await born(watchdogPid),
  }
  for (;;) {
    if (await create(file, own)) break
    const holder = await read(file)
    if (holder && (await lives(holder.pid, holder.born))) throw new StackRunningError(holder.pid, state)
    if (holder) await watchdogDone(holder)
    await removeStale(file, holder)
  }
  return {
    async [Symbol.asyncDispose]() {
      if ((await read(file))?.pid === process.pid) await rm(file, { force: true })
    },
  }
}

async function create(file: string, holder: Holder): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', 0o600)
    await handle.writeFile(JSON.stringify(holder))
    await handle.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function read(file: string): Promise<Holder | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  try {
    return Holder.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Moved aside and looked at again, so that of two starts that saw the same stale lock only one removes it. */
async function removeStale(file: string, seen: Holder | undefined): Promise<void> {
  const aside = `${file}.${randomUUID()}`
  try {
    await rename(file, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const moved = await read(aside)
  if (moved && moved.pid !== seen?.pid && (await lives(moved.pid, moved.born))) await rename(aside, file)
  else await rm(aside, { force: true })
}

async function watchdogDone(holder: Holder): Promise<void> {
  const end = Date.now() + watchdogDeadlineMs
  while (Date.now() < end && holder.watchdogPid > 0 && (await lives(holder.watchdogPid, holder.watchdogBorn)))
    await delay(50)
}

async function lives(pid: number, bornThen: string): Promise<boolean> {
  return processAlive(pid) && (await born(pid)) === bornThen
}

/** The start time of a process in clock ticks where the system tells it, so that a reused pid is not taken for the old one. */
async function born(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
