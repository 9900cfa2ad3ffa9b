/** Assembles the kernels to `gen/kernels-wasm.ts`: `npm run generate -w packages/learning`. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import openWabt from 'wabt'
import { moduleWat } from './module-wat.ts'

const wabt = await openWabt()
const module = wabt.parseWat('kernels.wat', moduleWat(), { simd: true, threads: true })
const { buffer } = module.toBinary({ write_debug_names: false })
const folder = join(import.meta.dirname, '..', 'gen')
await mkdir(folder, { recursive: true })
await writeFile(
  join(folder, 'kernels-wasm.ts'),
  `// Assembled by wat/build.ts from wat/*.ts; do not edit.

/** The module's bytes in base64. */
export const kernelsWasm =
  '${Buffer.from(buffer).toString('base64')}'
`,
)
