import type { Stats } from 'node:fs'
import { lstat, opendir, realpath } from 'node:fs/promises'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { DataError } from '../data-error.ts'

const maxImages = 2 ** 22
const maxDepth = 8
const statsAtOnce = 64

export const isImageName = (name: string): boolean => /\.(png|jpe?g)$/i.test(name)

/**
 * Names of the images under a folder, from the data folder, in the order of their code units. Hidden files and other kinds
 * of files are passed over, and links are not followed. Throws FILE_OUTSIDE, FILE_UNREADABLE, TOO_LARGE.
 */
export const listImages = async (dataDir: string, folder: string): Promise<readonly string[]> => {
  const root = await realpath(dataDir).catch(() => dataDir)
  let start: string
  try {
    start = await realpath(resolve(root, folder))
  } catch (cause) {
    throw new DataError('FILE_UNREADABLE', `${folder}: there is no such folder in the data folder.`, { cause })
  }
  const inside = relative(root, start)
  if (isAbsolute(folder) || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    throw new DataError(
      'FILE_OUTSIDE',
      `${folder} lies outside the data folder. Move it inside and name it from there.`,
    )
  const found: string[] = []
  await walk(start, folder, maxDepth, found)
  return found.sort((a, b) => (a < b ? -1 : 1))
}

/** What the file system says of each image under a folder, without opening any. Throws as `listImages`. */
export async function* statImages(dataDir: string, folder: string): AsyncGenerator<readonly [name: string, Stats]> {
  const names = await listImages(dataDir, folder)
  for (let first = 0; first < names.length; first += statsAtOnce) {
    const some = names.slice(first, first + statsAtOnce)
    const found = await Promise.all(some.map(name => lstat(join(dataDir, name)).catch(() => undefined)))
    for (const [index, stats] of found.entries()) if (stats !== undefined) yield [some[index] as string, stats]
  }
}

const walk = async (path: string, name: string, depth: number, found: string[]): Promise<void> => {
  try {
    for await (const entry of await opendir(path)) {
      if (entry.name.startsWith('.')) continue
      const below = `${name}/${entry.name}`
      if (entry.isDirectory() && depth > 0) await walk(join(path, entry.name), below, depth - 1, found)
      else if (entry.isFile() && isImageName(entry.name)) found.push(below)
      if (found.length > maxImages) throw new DataError('TOO_LARGE', `${name} holds more than ${maxImages} images.`)
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause
    throw new DataError('FILE_UNREADABLE', `${name} cannot be listed. Check that it is a folder and who may read it.`, {
      cause,
    })
  }
}
