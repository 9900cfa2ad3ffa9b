import assert from 'node:assert/strict'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readTrainers } from './installed-trainers.ts'

const written = async (content: unknown) => {
  await using folder = await temporaryFolder()
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  await writeFile(join(folder.path, 'trainers.json'), text)
  return { dataDir: folder.path, trainers: await readTrainers(folder.path) }
}
const plain = { name: 'a', framework: 'pytorch', trainer: 'm:t' }

const temporaryFolder = () => mkdtempDisposable(join(tmpdir(), 'tributary-trainers-'))

test('without the file there are no trainers', async () => {
  await using folder = await temporaryFolder()
  assert.equal((await readTrainers(folder.path)).size, 0)
})

test('paths start in the data folder, commands stay what they are', async () => {
  const { dataDir, trainers } = await written({
    trainers: [
      { ...plain, path: ['code', '/opt/code'] },
      { ...plain, name: 'b', python: 'venv/bin/python', memoryMegabytes: 100 },
    ],
  })
  assert.deepEqual(trainers.get('a')?.path, [join(dataDir, 'code'), '/opt/code'])
  assert.equal(trainers.get('a')?.python, 'python3')
  assert.equal(trainers.get('b')?.python, join(dataDir, 'venv/bin/python'))
  assert.equal(trainers.get('b')?.memoryBytes, 100 * 2 ** 20)
})

test('every fault is named at once', async () => {
  const faulty = [
    { ...plain, trainer: 'm.py' },
    { ...plain, framework: 'onnx', memory: 1 },
  ]
  await assert.rejects(written({ trainers: faulty }), (error: Error) => {
    assert.equal(error.name, 'TrainersFileError')
    for (const fault of [/not module:attribute/, /framework/, /memory/]) assert.match(error.message, fault)
    return true
  })
  await assert.rejects(written({ trainers: [plain, plain] }), /two trainers have the same name/)
  await assert.rejects(written('{'), /trainers.json is not JSON/)
})
