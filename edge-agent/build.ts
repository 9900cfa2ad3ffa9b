import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const outdir = fileURLToPath(new URL('./dist', import.meta.url))

await Promise.all(
  ['main.mjs', 'agent.mjs', 'run-agent.mjs', 'onnx-worker.mjs', 'model-worker.mjs', 'convert-worker.mjs'].map(name =>
    rm(`${outdir}/${name}`, { force: true }),
  ),
)
await build({
  entryPoints: {
    main: fileURLToPath(new URL('./src/main.ts', import.meta.url)),
    // For those who install the package: its commands, and the agent as a function.
    agent: fileURLToPath(new URL('./src/commands/agent/agent.main.ts', import.meta.url)),
    'run-agent': fileURLToPath(new URL('./src/run-agent.ts', import.meta.url)),
    'onnx-worker': fileURLToPath(new URL('./src/training/onnx-worker.ts', import.meta.url)),
    'model-worker': fileURLToPath(new URL('./src/inference/model-worker.ts', import.meta.url)),
    'convert-worker': fileURLToPath(new URL('./src/data/convert/convert-worker.ts', import.meta.url)),
  },
  outdir,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  sourcemap: true,
  // Traces need only names and lines, and whoever turns maps on has all of them in memory.
  sourcesContent: false,
  legalComments: 'linked',
  // Comments are a third of the text, which V8 keeps in memory, and as UTF-16 for the sake of one arrow in one of them.
  minifyWhitespace: true,
  // Lines stay short enough for a trace to tell something.
  lineLimit: 160,
  // Native modules, and what few agents need; resolved from node_modules where the bundle runs.
  external: ['onnxruntime-node', 'sharp', 'hyparquet'],
  // CommonJS dependencies inside an ES module still call require.
  banner: {
    js: "import { createRequire as createRequire_ } from 'node:module'; const require = createRequire_(import.meta.url);",
  },
})
