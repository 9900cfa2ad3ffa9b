/** Run by `npm pack` after prepack.ts: the workspace is again what it was. */
import { rename, rm } from 'node:fs/promises'
import { manifestFile, sourceFile } from './source-manifest.ts'

await rm('LICENSE', { force: true })
await rename(sourceFile, manifestFile)
