import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StackFolders } from './folders.ts'

/** Empties the state folder of a stack whose lock we hold; the lock itself stays. */
export async function forgetState({ state, logs }: StackFolders): Promise<void> {
  const entries = await readdir(state)
  await Promise.all(
    entries.filter(name => name !== 'lock').map(name => rm(join(state, name), { recursive: true, force: true })),
  )
  await mkdir(logs, { recursive: true, mode: 0o700 })
}
