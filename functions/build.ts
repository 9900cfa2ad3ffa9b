/** Bundles every function of the specification into `dist/<name>/index.mjs`, as it is deployed. */
import { cp, mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { functionSpecs } from '@tributary/contracts/functions'
import { build } from 'esbuild'

const maxBundleBytes = 1.5 * 1024 * 1024
const folder = fileURLToPath(new URL('.', import.meta.url))

// Some dependencies are CommonJS and call `require` for Node's own modules.
const banner = `import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);`

const bundle = async (name: string, entry: string): Promise<number> => {
  const outfile = `${folder}dist/${name}/index.mjs`
  await rm(`${folder}dist/${name}`, { recursive: true, force: true })
  await mkdir(`${folder}dist/${name}`, { recursive: true })
  const { metafile } = await build({
    entryPoints: [`${folder}src/${entry}`],
    outfile,
    bundle: true,
    minify: true,
    // Error names are shown in logs.
    keepNames: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    banner: { js: banner },
    sourcemap: false,
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
  })
  await writeFile(`${folder}dist/${name}.meta.json`, JSON.stringify(metafile))
  return (await stat(outfile)).size
}

const sizes = await Promise.all(functionSpecs.map(({ name, entry }) => bundle(name, entry)))
for (const name of ['migrate', 'health']) {
  await cp(`${folder}migrations`, `${folder}dist/${name}/migrations`, { recursive: true })
}
for (const [index, { name }] of functionSpecs.entries()) {
  const size = sizes[index] ?? 0
  console.log(`${name.padEnd(16)}${(size / 1024).toFixed(0).padStart(6)} KiB`)
  if (size > maxBundleBytes) {
    console.error(`${name}: larger than ${maxBundleBytes / 1024} KiB; see dist/${name}.meta.json`)
    process.exitCode = 1
  }
}
