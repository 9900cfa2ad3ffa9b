/**
 * The one list of checks: `npm run check` runs all of it, `npm run check:fast` the static and unit part. Steps run one after
 * the other, all of them even when one fails; the last line counts what passed and failed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { testFiles } from './test-files.ts'

type Step = {
  readonly name: string
  readonly command: readonly string[]
  readonly fast: boolean
  /** Tests report their own counts; any other step counts as one. */
  readonly tests?: true
}

type Outcome = {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Name, file and message of each test that failed. */
  readonly failures?: readonly string[]
}

const root = join(import.meta.dirname, '..')
const countsFile = join(tmpdir(), `tributary-test-counts-${process.pid}.json`)
const stepDeadlineMillis = 25 * 60_000

const nodeTest = (files: readonly string[], concurrency: number, timeoutSeconds: number): readonly string[] => [
  process.execPath,
  '--test',
  `--test-concurrency=${concurrency}`,
  `--test-timeout=${timeoutSeconds * 1000}`,
  '--test-reporter=./tools/test-reporter.ts',
  ...files,
]

const steps = async (): Promise<readonly Step[]> => [
  { name: 'format', command: ['biome', 'format', '.'], fast: true },
  { name: 'lint', command: ['biome', 'lint', '--error-on-warnings', '.'], fast: true },
  { name: 'lint (types)', command: ['oxlint', '--type-aware', '--deny-warnings'], fast: true },
  { name: 'types', command: ['tsc', '-b'], fast: true },
  // What joins several deployables is no project of the build: references would be circular.
  { name: 'types of benchmarks', command: ['tsc', '-p', 'bench'], fast: true },
  { name: 'types of the chaos kit', command: ['tsc', '-p', 'packages/local-stack/src/chaos'], fast: true },
  { name: 'borders', command: ['depcruise', '--config', '.dependency-cruiser.js', '.'], fast: true },
  { name: 'dead code', command: ['knip', '--no-progress'], fast: true },
  { name: 'generated code', command: [process.execPath, 'tools/check-generated.ts'], fast: true },
  { name: 'protocol', command: [process.execPath, 'tools/check-protocol.ts'], fast: true },
  { name: 'unit tests', command: nodeTest(await testFiles('unit'), 2, 120), fast: true, tests: true },
  { name: 'integration tests', command: nodeTest(await testFiles('integration'), 4, 300), fast: false, tests: true },
  { name: 'end-to-end tests', command: nodeTest(await testFiles('end-to-end'), 2, 900), fast: false, tests: true },
]

const run = async (step: Step): Promise<Outcome> => {
  const [program = '', ...args] = step.command
  const started = performance.now()
  process.stdout.write(`\n▶ ${step.name}\n`)
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH ?? ''}`,
      TEST_COUNTS_FILE: countsFile,
      FORCE_COLOR: '0',
    },
  })
  const quiet: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (step.tests ? void process.stdout.write(chunk) : quiet.push(chunk)))
  }
  const deadline = setTimeout(() => child.kill('SIGKILL'), stepDeadlineMillis)
  const code = await once(child, 'close').then(
    ([status]) => status as number | null,
    (error: Error) => {
      quiet.push(Buffer.from(`${error.message}\n`))
      return 1
    },
  )
  clearTimeout(deadline)
  if (code !== 0) process.stdout.write(Buffer.concat(quiet))
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`${code === 0 ? '✔' : '✖'} ${step.name} (${seconds} s)\n`)
  if (!step.tests) return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 }
  const counted = await readFile(countsFile, 'utf8').then(
    text => JSON.parse(text) as Outcome,
    () => ({ passed: 0, failed: 1, skipped: 0 }),
  )
  await rm(countsFile, { force: true })
  // A runner that dies without a failed test has failed all the same.
  return code !== 0 && counted.failed === 0 ? { ...counted, failed: 1 } : counted
}

const { values } = parseArgs({ options: { fast: { type: 'boolean', default: false } }, strict: true })
const outcomes: (Outcome & { name: string })[] = []
for (const step of await steps()) {
  if (values.fast && !step.fast) continue
  outcomes.push({ name: step.name, ...(await run(step)) })
}
const total = (key: 'passed' | 'failed' | 'skipped'): number => outcomes.reduce((sum, outcome) => sum + outcome[key], 0)
// Once more together: whoever reads the end of a long log should see what failed.
for (const { failures = [] } of outcomes) for (const failure of failures) process.stdout.write(`\n✖ ${failure}`)
const failedSteps = outcomes.filter(outcome => outcome.failed > 0).map(outcome => outcome.name)
process.stdout.write(failedSteps.length > 0 ? `\nFailed: ${failedSteps.join(', ')}\n` : '\n')
process.stdout.write(`${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped\n`)
process.exitCode = failedSteps.length > 0 ? 1 : 0
