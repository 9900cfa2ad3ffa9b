import assert from 'node:assert/strict'
import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LocalTensors } from './local-tensors.ts'

const task = (number: number): string => `0190b5a0-0000-7000-8000-${number.toString().padStart(12, '0')}`

const temporaryFolder = () => mkdtempDisposable(join(tmpdir(), 'tributary-trainers-'))

test('a round begins with the values of the round before, also when it is tried again', async () => {
  await using folder = await temporaryFolder()
  const local = await LocalTensors.open(join(folder.path, 'local'))
  const at = (round: number, attempt = 1) => ({ task: task(1), round, attempt })
  const keep = async (round: number) => {
    const file = join(folder.path, 'new')
    await writeFile(file, `of round ${round}`)
    await local.keep(at(round), file)
  }
  const before = async (round: number, attempt?: number) => {
    const file = await local.before(at(round, attempt))
    return file === undefined ? undefined : readFile(file, 'utf8')
  }
  assert.equal(await before(1), undefined)
  await keep(2)
  assert.equal(await before(2, 2), undefined)
  await keep(9)
  await keep(10)
  assert.equal(await before(10, 2), 'of round 9')
  assert.equal(await before(11), 'of round 10')
  assert.equal((await readdir(join(folder.path, 'local'))).length, 2)
  assert.equal(await local.before({ task: task(2), round: 99, attempt: 1 }), undefined)
})

test('the number of tasks is bounded, oldest out first', async () => {
  await using folder = await temporaryFolder()
  const local = await LocalTensors.open(join(folder.path, 'local'))
  for (let number = 0; number < 20; number += 1) {
    const file = join(folder.path, 'new')
    await writeFile(file, '')
    await local.keep({ task: task(number), round: 1, attempt: 1 }, file)
  }
  const kept = (await readdir(join(folder.path, 'local'))).sort()
  assert.equal(kept.length, 16)
  assert.equal(kept[0], `${task(4)}-1.safetensors`)
})
