/** Generated code is committed; this generates it anew and fails on a difference. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
/** Folders whose package.json has a `generate` script, and what it writes. */
const generated = [
  { folder: 'packages/contracts', output: 'packages/contracts/src/gen' },
  { folder: 'packages/onnx-train', output: 'packages/onnx-train/src/gen' },
  { folder: 'packages/learning', output: 'packages/learning/src/kernels/gen' },
] as const

for (const { folder } of generated) {
  await run('npm', ['run', '--silent', 'generate'], { cwd: join(root, folder) })
}
for (const page of ['errors', 'openapi', 'metrics'])
  await run(process.execPath, [`tools/generate-${page}.ts`], { cwd: root })
const { stdout } = await run(
  'git',
  [
    'status',
    '--porcelain',
    '--',
    'docs/errors.md',
    'docs/openapi.json',
    'docs/metrics.md',
    ...generated.map(entry => entry.output),
  ],
  {
    cwd: root,
  },
)
if (stdout !== '') {
  process.stderr.write(`Generated code differs from what is committed. Run \`npm run generate\` and commit:\n${stdout}`)
  process.exitCode = 1
}
