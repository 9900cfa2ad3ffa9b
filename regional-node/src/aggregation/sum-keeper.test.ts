import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { manifest, rule, SampleSpool, sampleBody, sha256Of, sumFileOf } from '../kernels/testing/sample-updates.ts'
import { UpdateWorkers } from '../kernels/update-workers.ts'
import { Budget } from '../log/budget.ts'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import { LogKey } from '../log/log-key.ts'
import { SumKeeper } from './sum-keeper.ts'

const bodies = [1, 2, 3, 4].map(seed => sampleBody(seed))
const sumOf = (weights: readonly number[]) =>
  sha256Of(sumFileOf(weights.map((weight, i) => ({ body: bodies[i] as Uint8Array, weight }))))
const mortal = new URL('../kernels/testing/mortal-update-worker.ts', import.meta.url)

const open = async (sumMemoryBytes: number) => {
  await using made = new AsyncDisposableStack()
  const workers = made.use(UpdateWorkers.open({ threads: 1, url: mortal }))
  const spool = made.use(await SampleSpool.make())
  const spoolRoom = new Budget(1e9)
  const options = {
    folder: spool.folder,
    key: new LogKey(randomBytes(32)),
    spoolRoom,
    sumMemory: new Budget(sumMemoryBytes),
  }
  const keeper = made.use(new SumKeeper(options))
  const round = made.use(workers.round(manifest, rule))
  await keeper.open(round, undefined, [])
  const place = async (number: number) => {
    const body = bodies[number - 1] as Uint8Array
    return { body: await spool.plain(`${number}`, body), sha256: sha256Of(body) }
  }
  const add = async (number: number) => keeper.add({ ...(await place(number)), weight: number })
  const opened = made.move()
  return { keeper, round, spool, spoolRoom, place, add, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
/** Another bit in the last byte. */
const damage = async (path: string) => {
  const bytes = await readFile(path)
  bytes[bytes.byteLength - 1] = (bytes.at(-1) as number) ^ 1
  await writeFile(path, bytes)
}

test('a sum in memory that a dead thread leaves half added is made anew from file and bodies, each update once', async () => {
  await using sum = await open(1e9)
  await sum.add(1)
  await sum.keeper.fold(1)
  await sum.add(2)
  const [third, fourth] = [await sum.place(3), await sum.place(4)]
  await writeFile(`${third.body.path}.tear`, '')
  // The fourth waits behind the third when that spoils the sum.
  await Promise.all([sum.keeper.add({ ...third, weight: 3 }), sum.keeper.add({ ...fourth, weight: 4 })])
  const { sha256, updates, weight } = await sum.keeper.fold(4)
  assert.deepEqual([sha256, updates, weight], [sumOf([1, 2, 3, 4]), 4, '10'])
})

test('a sum that is spoilt in the very first addition is made anew as well, and what comes then is added to it', async () => {
  await using sum = await open(1e9)
  const first = await sum.place(1)
  await writeFile(`${first.body.path}.tear`, '')
  await sum.keeper.add({ ...first, weight: 1 })
  await sum.add(2)
  assert.equal((await sum.keeper.fold(2)).sha256, sumOf([1, 2]))
})

for (const [where, bytes] of [
  ['memory', 1e9],
  ['a file', 0],
] as const) {
  test(`of a sum in ${where}, whose body is damaged when it is needed, no sum is made`, async () => {
    await using sum = await open(bytes)
    await sum.add(1)
    const second = await sum.place(2)
    await damage(second.body.path)
    if (bytes > 0) await writeFile(`${second.body.path}.tear`, '')
    else await writeFile(second.body.path, '')
    const made = sum.keeper.add({ ...second, weight: 2 }).then(() => sum.keeper.fold(2))
    await assert.rejects(made, LogCorruptError)
    await assert.rejects(sum.add(3), LogCorruptError, 'nor later')
  })
}

test('a file that is not what was written is in no sum that is made from it', async () => {
  await using sum = await open(0)
  await sum.add(1)
  const { file } = await sum.keeper.fold(1)
  await damage(sum.spool.path(file))
  await sum.add(2)
  await assert.rejects(sum.keeper.fold(2), LogCorruptError)
  assert.deepEqual(
    (await readdir(sum.spool.folder)).filter(name => name.startsWith('sum.')),
    [file],
  )
})

test('no running sum begins with a file that is not what was written', async () => {
  for (const bytes of [0, 1e9]) {
    await using sum = await open(bytes)
    await sum.add(1)
    const newest = await sum.keeper.fold(1)
    await damage(sum.spool.path(newest.file))
    const begun = async () => {
      await sum.keeper.open(sum.round, newest, [])
      return await sum.keeper.fold(2)
    }
    await assert.rejects(begun(), LogCorruptError)
  }
})

test('sum files are counted as long as they are there', async () => {
  for (const bytes of [0, 1e9]) {
    await using sum = await open(bytes)
    const { keeper, round, spoolRoom, spool } = sum
    await sum.add(1)
    const first = await keeper.fold(1)
    assert.equal(spoolRoom.used, (await stat(spool.path(first.file))).size)
    await sum.add(2)
    await keeper.fold(2)
    assert.equal(spoolRoom.used, 2 * round.fileBytes)
    await keeper.removeBefore(2)
    assert.equal(spoolRoom.used, round.fileBytes)
    keeper[Symbol.dispose]()
    assert.equal(spoolRoom.used, 0)
  }
})
