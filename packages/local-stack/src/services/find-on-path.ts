import { access, constants, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** The first executable file of this name in `path` (as in `$PATH`), or undefined. */
export async function findOnPath(command: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    if (!folder.startsWith('/')) continue
    const file = join(folder, command)
    const executable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (executable && (await stat(file)).isFile()) return file
  }
  return undefined
}
