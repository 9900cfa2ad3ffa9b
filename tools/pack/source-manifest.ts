import { readFile } from 'node:fs/promises'

/** In the workspace that is packed, where npm runs its scripts. */
export const manifestFile = 'package.json'
/** Where package.json waits while the tarball's is in its place. */
export const sourceFile = 'dist/package.source.json'

/** The workspace's own package.json, also where a run before was cut off between prepack and postpack. */
export const readSource = async (): Promise<string> => {
  const text = await readFile(manifestFile, 'utf8')
  return 'packed' in (JSON.parse(text) as object) ? text : readFile(sourceFile, 'utf8')
}
