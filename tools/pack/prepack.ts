/** Run by `npm pack` in a workspace: builds what goes into the tarball, and gives it its package.json; postpack.ts takes that back. */
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packedManifest, type Workspace } from './packed-manifest.ts'
import { manifestFile, readSource, sourceFile } from './source-manifest.ts'

const source = await readSource()
const manifest = packedManifest(JSON.parse(source) as Workspace)
// Standard output belongs to npm, which prints the name of the tarball there.
execFileSync('npm', ['run', '--silent', 'build:pack'], { stdio: ['ignore', 2, 2] })
await copyFile(join(import.meta.dirname, '../../LICENSE'), 'LICENSE')
await mkdir('dist', { recursive: true })
await writeFile(sourceFile, source)
await writeFile(`${manifestFile}.new`, `${JSON.stringify(manifest, null, 2)}\n`)
await rename(`${manifestFile}.new`, manifestFile)
