/** What `npm pack` puts in the tarball, beside sources: the bundles, and the declaration of the agent as a function. */
import './build.ts'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { transpileDeclaration } from 'typescript'

const fileOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const fileName = fileOf('./src/run-agent.ts')
const { outputText } = transpileDeclaration(await readFile(fileName, 'utf8'), { fileName, reportDiagnostics: true })
await writeFile(fileOf('./dist/run-agent.d.ts'), outputText)
