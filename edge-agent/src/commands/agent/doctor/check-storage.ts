import { randomBytes } from 'node:crypto'
import { mkdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../../../state/atomic-file.ts'
import { failed, type Outcome, ok, warning } from './finding.ts'

const mebibyte = 2 ** 20

/** Whether the state folder can be written, durably, and has room. @param wantedBytes what the agent may keep there */
export const checkStorage = async (stateDir: string, wantedBytes: number): Promise<Outcome> => {
  const file = join(stateDir, `doctor-${randomBytes(4).toString('hex')}`)
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 })
    await writeAtomically(file, randomBytes(4096))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return failed(
      'owner',
      `${stateDir} cannot be written (${code ?? message}). Let the agent's user own it, or free space.`,
    )
  } finally {
    await rm(file, { force: true }).catch(() => {})
  }
  const { bavail, bsize } = await statfs(stateDir)
  const free = bavail * bsize
  const said = `${Math.floor(free / mebibyte)} MiB free`
  if (free < 256 * mebibyte) return failed('owner', `Only ${said} at ${stateDir}. Free some space.`)
  if (free < wantedBytes) {
    return warning(
      'owner',
      `${said} at ${stateDir}, less than the ${Math.ceil(wantedBytes / mebibyte)} MiB of OBJECT_CACHE_BYTES and MAX_MODEL_BYTES together. Large models may not fit: free space, or lower these.`,
    )
  }
  return ok(`writable, ${said}`)
}
