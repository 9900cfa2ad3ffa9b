import { constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { DataError } from './data-error.ts'

/**
 * Opens a regular file of the data folder for reading. Nothing outside is reachable: not by `..`, not by an absolute
 * path, not through a link. Throws FILE_OUTSIDE, FILE_UNREADABLE.
 */
export const openDataFile = async (dataDir: string, name: string): Promise<FileHandle> => {
  let folder: string
  let file: string
  try {
    folder = await realpath(dataDir)
    file = await realpath(resolve(folder, name))
  } catch (cause) {
    throw new DataError('FILE_UNREADABLE', `${name}: there is no such file in the data folder.`, { cause })
  }
  const inside = relative(folder, file)
  if (isAbsolute(name) || inside === '' || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    throw new DataError('FILE_OUTSIDE', `${name} lies outside the data folder. Move it inside and name it from there.`)
  }
  try {
    // Non-blocking: a named pipe must not hang the agent.
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    if ((await handle.stat()).isFile()) return handle
    await handle.close()
  } catch (cause) {
    throw new DataError('FILE_UNREADABLE', `${name} cannot be read. Check who may read it.`, { cause })
  }
  throw new DataError('FILE_UNREADABLE', `${name} is not a regular file.`)
}
