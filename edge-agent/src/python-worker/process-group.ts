import { readdir, readFile } from 'node:fs/promises'
import { processMemoryBytes } from '../processes/process-memory.ts'

/** Sends a signal to every process of the group that `leader` leads; false when none is left. */
export const signalGroup = (leader: number, signal: NodeJS.Signals): boolean => {
  try {
    return process.kill(-leader, signal)
  } catch {
    return false
  }
}

/**
 * Memory of a group that is its own: files that it maps, which the kernel can drop, do not count. Zero where there is no
 * `/proc`.
 */
export const groupMemoryBytes = async (leader: number): Promise<number> => {
  const names = await readdir('/proc').catch(() => [])
  let bytes = 0
  for (const name of names)
    if (/^\d+$/.test(name) && (await groupOf(name)) === leader) bytes += await processMemoryBytes(name)
  return bytes
}

const groupOf = async (pid: string): Promise<number | undefined> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  // The name in parentheses may hold anything; state, parent and group follow the last of them.
  const [, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return group === undefined ? undefined : Number(group)
}
