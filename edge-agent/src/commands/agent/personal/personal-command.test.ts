import assert from 'node:assert/strict'
import { mkdir, mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { bookFile } from '../../../deployments/deployment-book-file.ts'
import { readForgetRequest } from '../../../deployments/personal/forget-request.ts'
import { LocalTensors, localTensorsFolder } from '../../../state/local-tensors.ts'
import { runAgentCommand } from '../run-agent-command.ts'

const id = (number: number) => `0190b5a0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`
const file = (name: string) => ({ sha256: Buffer.from(name).toString('hex').padEnd(64, '0'), bytes: 3 })

const call = async (stateDir: string, ...line: string[]) => {
  const said = { out: '', err: '' }
  const output = {
    out: (text: string) => {
      said.out += text
    },
    err: (text: string) => {
      said.err += text
    },
    columns: undefined,
  }
  const signal = new AbortController().signal
  const folder = tmpdir()
  const code = await runAgentCommand(['personal', ...line], {
    folder,
    environment: { STATE_DIR: stateDir },
    output,
    signal,
  })
  return { code, ...said }
}

/** A device that keeps values of two tasks, and serves two models as they were fitted to it. */
const begin = async (stateDir: string) => {
  const local = await LocalTensors.open(localTensorsFolder(stateDir), 1000)
  for (const task of [1, 2]) await local.keep({ task: id(task), round: 3 }, Buffer.from('values'))
  const folder = join(stateDir, 'deployments')
  await mkdir(join(folder, 'objects'), { recursive: true })
  const models = ['digits', 'birds'].map((modelName, index) => ({
    deployment: id(10 + index),
    revision: 1,
    model: id(20 + index),
    modelName,
    version: id(30 + index),
    versionNumber: 7,
    weights: file(`own ${modelName}`),
    released: file('released'),
    manifest: file('manifest'),
    graph: file('graph'),
  }))
  const metrics = { examples: 40, before: { loss: 0.5, accuracy: 0.5 }, after: { loss: 0.25, accuracy: 0.75 } }
  const personal = models.map(({ deployment, weights }) => ({
    deployment,
    key: 'a'.repeat(64),
    result: { outcome: 'personal', metrics },
    weights,
  }))
  await writeFile(bookFile(folder), JSON.stringify({ serving: models, former: [], failed: [], gone: [], personal }))
  for (const { sha256 } of models.map(model => model.weights)) await writeFile(join(folder, 'objects', sha256), 'own')
  return { folder, files: () => readdir(join(folder, 'objects')) }
}

test('the owner sees what the device keeps for itself', async () => {
  await using temporary = await mkdtempDisposable(join(tmpdir(), 'tributary-personal-'))
  assert.equal((await call(temporary.path)).out, 'This device keeps nothing of its own.\n')
  await begin(temporary.path)
  const { code, out } = await call(temporary.path)
  assert.equal(code, 0)
  assert.match(out, new RegExp(`task +${id(1)} +round 3 +6 bytes`))
  assert.match(out, /digits version 7 +personal +loss 0\.5000 → 0\.2500 on 40 held out/)
  const { tasks, models } = JSON.parse((await call(temporary.path, '--json')).out)
  assert.deepEqual(tasks[1], { task: id(2), rounds: [3], bytes: 6 })
  assert.deepEqual([models[1].model, models[1].outcome], ['birds', 'personal'])
})

test('what the owner wants forgotten is gone, and nothing else', async () => {
  await using temporary = await mkdtempDisposable(join(tmpdir(), 'tributary-personal-'))
  const { folder, files } = await begin(temporary.path)
  assert.match((await call(temporary.path, '--forget-task', id(2))).out, new RegExp(`own values of task ${id(2)}\\.`))
  assert.equal((await readdir(localTensorsFolder(temporary.path))).length, 1)
  assert.match((await call(temporary.path, '--forget-model', 'birds')).out, /what was fitted of birds version 7/)
  assert.deepEqual(await readForgetRequest(folder), [id(11)])
  assert.deepEqual(await files(), [file('own digits').sha256])
  await call(temporary.path, '--forget-all')
  assert.deepEqual([await readdir(localTensorsFolder(temporary.path)), await files()], [[], []])
  assert.match((await call(temporary.path, '--forget-task', id(2))).out, /nothing to forget/)
  assert.equal((await call(temporary.path, '--forget-all', '--forget-task', id(1))).code, 2)
  assert.ok((await readFile(bookFile(folder), 'utf8')).includes('birds'), 'the book is the agent’s to write')
})
