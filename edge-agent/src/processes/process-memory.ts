import { readFile } from 'node:fs/promises'

/**
 * Memory of a process that is its own: files that it maps, which the kernel can drop, do not count. Zero where there is no
 * `/proc`, or no such process.
 */
export const processMemoryBytes = async (pid: number | string): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  const kibibytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  return (kibibytes('RssAnon') + kibibytes('RssShmem')) * 1024
}
