import assert from 'node:assert/strict'
import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Manifest } from '@tributary/tensors/manifest'
import { LocalTensors } from './local-tensors.ts'

const task = (number: number): string => `0190b5a0-0000-7000-8000-${number.toString().padStart(12, '0')}`

const temporaryFolder = () => mkdtempDisposable(join(tmpdir(), 'tributary-local-'))

/** Tensors with so many bytes to keep. */
const begin = async (folder: string, maxBytes = 2 ** 20) => {
  const local = await LocalTensors.open(join(folder, 'local'), maxBytes)
  const read = async (file: string | undefined) => (file === undefined ? undefined : readFile(file, 'utf8'))
  const keep = (number: number, round: number, content = `of round ${round}`) =>
    local.keep({ task: task(number), round }, Buffer.from(content))
  const before = async (number: number, round: number) => read(await local.before({ task: task(number), round }))
  const kept = async () => (await readdir(join(folder, 'local'))).sort()
  return { local, keep, before, read, kept }
}

test('a round begins with the values of the round before, also when it is tried again', async () => {
  await using folder = await temporaryFolder()
  const { local, keep, before, read, kept } = await begin(folder.path)
  assert.equal(await before(1, 1), undefined)
  await keep(1, 2)
  assert.equal(await before(1, 2), undefined)
  await keep(1, 9)
  const file = join(folder.path, 'new')
  await writeFile(file, 'of round 10')
  await local.keepFile({ task: task(1), round: 10 }, file)
  assert.equal(await before(1, 10), 'of round 9')
  assert.equal(await before(1, 11), 'of round 10')
  assert.equal(await read(await local.newest(task(1))), 'of round 10')
  assert.equal((await kept()).length, 2)
  assert.equal(await before(2, 99), undefined)
})

test('they survive a restart, and what a write left half done does not', async () => {
  await using folder = await temporaryFolder()
  const { keep } = await begin(folder.path)
  await keep(1, 1)
  await writeFile(join(folder.path, 'local', `${task(1)}-2.safetensors.0123456789ab.tmp`), 'half')
  const { before, kept } = await begin(folder.path)
  assert.equal(await before(1, 5), 'of round 1')
  assert.deepEqual(await kept(), [`${task(1)}-1.safetensors`])
})

test('the number of tasks is bounded, oldest out first', async () => {
  await using folder = await temporaryFolder()
  const { keep, kept } = await begin(folder.path)
  for (let number = 0; number < 20; number += 1) await keep(number, 1)
  const names = await kept()
  assert.equal(names.length, 16)
  assert.equal(names[0], `${task(4)}-1.safetensors`)
})

test('their bytes are bounded, oldest out first, and the task at work stays', async () => {
  await using folder = await temporaryFolder()
  const { keep, kept } = await begin(folder.path, 100)
  const forty = 'x'.repeat(40)
  await keep(3, 1, forty)
  await keep(2, 1, forty)
  // 120 bytes; task 2 is the oldest.
  await keep(4, 1, forty)
  assert.deepEqual(
    await kept(),
    [3, 4].map(number => `${task(number)}-1.safetensors`),
  )
  await keep(1, 1, forty)
  assert.deepEqual(
    await kept(),
    [1, 4].map(number => `${task(number)}-1.safetensors`),
  )
})

test('a task with more to keep than there is room for is refused before it is trained', async () => {
  await using folder = await temporaryFolder()
  const { local } = await begin(folder.path, 10_000)
  const manifest = (policy: 'keep-local' | 'average'): Manifest => ({
    format: 'tributary.manifest/1',
    tensors: [{ name: 'w', dtype: 'F32', shape: [2000], policy }],
    inputs: [],
    outputs: [],
    loss: 'softmax-cross-entropy',
    labelKind: 'class-index',
  })
  assert.throws(() => local.checkRoom(manifest('keep-local')), /has room for 10000 bytes of two rounds/)
  assert.doesNotThrow(() => local.checkRoom(manifest('average')))
})

test('what the owner wants gone is gone, of one task or of all', async () => {
  await using folder = await temporaryFolder()
  const { local, keep, kept } = await begin(folder.path)
  for (const number of [1, 2, 3]) await keep(number, 1)
  await keep(1, 2)
  assert.deepEqual(await local.forget(task(1)), [task(1)])
  assert.equal((await kept()).length, 2)
  assert.deepEqual(await local.forget(), [task(2), task(3)])
  assert.deepEqual(await kept(), [])
  assert.deepEqual(await local.forget(task(7)), [])
})
