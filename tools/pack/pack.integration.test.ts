import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const bin = join(root, 'node_modules/.bin')
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, ONNXRUNTIME_NODE_INSTALL: 'skip' }

/** A folder that goes when the test does. */
const temporaryFolder = async (context: TestContext): Promise<string> => {
  const path = await mkdtemp(join(tmpdir(), 'tributary-pack-'))
  context.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Packs a copy of a workspace, so that the repository stays as it is, and installs the tarball in an empty folder. */
const packAndInstall = async (workspace: string, path: string): Promise<string> => {
  const copy = join(path, 'repository', workspace)
  await cp(join(root, workspace), copy, {
    recursive: true,
    filter: source => !/\/(?:dist|node_modules|fixtures|__pycache__)$/.test(source),
  })
  for (const shared of ['node_modules', 'tools', 'tsconfig.base.json'])
    await symlink(join(root, shared), join(path, 'repository', shared))
  const consumer = join(path, 'consumer')
  await mkdir(consumer)
  await run('npm', ['pack', '--silent', '--pack-destination', path], { cwd: copy, env })
  const tarball = (await readdir(path)).find(name => name.endsWith('.tgz'))
  assert.ok(tarball)
  await writeFile(join(consumer, 'package.json'), '{"private":true,"type":"module"}')
  const quiet = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund']
  await run('npm', ['install', ...quiet, join(path, tarball)], { cwd: consumer, env })
  return consumer
}

const consumerOfOnnxTrain = (runtime: string): string => `
import { type CompiledTraining, compileTraining } from '@tributary/onnx-train/compile-training'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import type { Runner } from '@tributary/onnx-train/runner'

const compile = (file: Uint8Array, runner: Runner): Promise<CompiledTraining> =>
  compileTraining(readModel(file, { maxBytes: 64e6 }), { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'step' }, runner)
// @ts-expect-error: the types are there, and say that a runner is needed
const wrong = () => compile(new Uint8Array())

const ort: any = (await import('${runtime}' as string)).default
const { classes, parameters } = await compile(mcmahan2nn(1), async (bytes, feeds, fetches) => {
  const session = await ort.InferenceSession.create(bytes)
  const inputs = [...feeds].map(([name, { dtype, data, shape }]) => [name, new ort.Tensor(dtype, data, shape)])
  const results = await session.run(Object.fromEntries(inputs), [...fetches])
  return new Map(fetches.map(name => [name, { dtype: results[name].type, shape: results[name].dims, data: results[name].data }]))
})
console.log(JSON.stringify({ classes, shapes: parameters.map(({ shape }) => shape) }))
`

suite('tarballs of npm pack, installed in an empty folder', () => {
  test('onnx-train compiles a train step, and its types hold a consumer to its contract', async context => {
    const path = await packAndInstall('packages/onnx-train', await temporaryFolder(context))
    const runtime = pathToFileURL(join(root, 'node_modules/onnxruntime-node/dist/index.js')).href
    await writeFile(join(path, 'use.ts'), consumerOfOnnxTrain(runtime))
    const options = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--lib', 'es2024,esnext,dom']
    await run(join(bin, 'tsc'), [...options, '--noEmitOnError', 'use.ts'], { cwd: path, env })
    const { stdout } = await run(process.execPath, ['use.js'], { cwd: path, env })
    // McMahan et al. 2017: 28 × 28 pixels, two hidden layers of 200, 10 digits; matrices as [out, in].
    const shapes = [[200, 784], [200], [200, 200], [200], [10, 200], [10]]
    assert.deepEqual(JSON.parse(stdout), { classes: 10, shapes })
  })

  test('the agent has its commands, its declaration, and nothing of TypeScript to run', async context => {
    const path = await packAndInstall('edge-agent', await temporaryFolder(context))
    const agent = async (...line: string[]): Promise<string> =>
      (await run(join(path, 'node_modules/.bin/tributary-agent'), line, { cwd: path, env })).stdout
    assert.match(await agent('--help'), /tributary-agent <command>/)
    assert.match(await agent('predict', '--help'), /tributary-agent predict --input/)
    // A folder without an identity: the agent itself starts, and says what is missing.
    const refused = agent('run', '--state-dir', join(path, 'state'))
    await assert.rejects(refused, (error: { code: number; stderr: string }) => {
      assert.equal(error.code, 3)
      assert.match(error.stderr, /AGENT_CERT_FILE|enrol/)
      return true
    })
    await writeFile(
      join(path, 'use.ts'),
      `import { runAgent } from '@tributary/edge-agent'\nexport const code: Promise<number> = runAgent({ STATE_DIR: 'state' })\n`,
    )
    await run(join(bin, 'tsc'), ['--strict', '--module', 'nodenext', '--noEmit', 'use.ts'], { cwd: path, env })
    const files = await readdir(join(path, 'node_modules/@tributary/edge-agent'), { recursive: true })
    assert.deepEqual(
      files.filter(file => file.endsWith('.ts')),
      ['dist/run-agent.d.ts'],
    )
    assert.ok(files.includes('python/src/tributary_worker/trainer.py'))
  })
})
