import { appendFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Draw } from '../explorer/draw.ts'

/** More than a frame of the log takes, so that cuts fall into heads, bodies and checksums. */
const mostBytes = 300

/**
 * Leaves behind every log of a dead node what a write leaves that the machine did not finish: bytes of a record that never was whole.
 * What was acknowledged before stays as it is.
 * @param dataFolder of the node
 * @returns how many logs were torn
 */
export const tearLogs = async (dataFolder: string, draw: Draw): Promise<number> => {
  const files = await readdir(join(dataFolder, 'shards'), { recursive: true, withFileTypes: true }).catch(() => [])
  const logs = files.filter(file => file.isFile() && file.name === 'log')
  for (const log of logs) {
    const torn = Uint8Array.from({ length: draw.between(1, mostBytes) }, () => draw.below(256))
    await appendFile(join(log.parentPath, log.name), torn)
  }
  return logs.length
}
