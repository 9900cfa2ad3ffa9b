import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { replayLog } from './replay.ts'
import { type LogFile, openLog, WriteAheadLog } from './write-ahead-log.ts'

const temporary = async (): Promise<{ path: string } & AsyncDisposable> => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-log-'))
  return { path: join(folder, 'log'), [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}
const never = (error: unknown) => assert.fail(`the disk failed: ${error}`)
const record = (text: string) => ({ type: 1, payload: Buffer.from(text) })
const texts = (bytes: Buffer) => replayLog(bytes).records.map(({ payload }) => Buffer.from(payload).toString())

test('records are on disk in the order of the calls once their append resolves', async () => {
  await using place = await temporary()
  const { log } = await openLog(place.path, never)
  const names = Array.from({ length: 100 }, (_, i) => `record ${i}`)
  await Promise.all(names.map(name => log.append(record(name))))
  assert.deepEqual(texts(await readFile(place.path)), names)
  await log.close()
})

test('a torn tail is cut off and the log goes on behind the sound part', async () => {
  await using place = await temporary()
  const first = await openLog(place.path, never)
  await first.log.append(record('kept'))
  await first.log.close()
  await appendFile(place.path, Buffer.from([9, 0, 0, 0, 2, 0, 0]))
  const second = await openLog(place.path, never)
  assert.equal(second.replay.records.length, 1)
  await second.log.append(record('after'))
  await second.log.close()
  assert.deepEqual(texts(await readFile(place.path)), ['kept', 'after'])
})

/** A disk that says when it is done. */
const slowDisk = () => {
  const syncs: PromiseWithResolvers<void>[] = []
  const appends: Buffer[] = []
  const file: LogFile = {
    append: async bytes => void appends.push(bytes),
    sync: () => {
      const sync = Promise.withResolvers<void>()
      syncs.push(sync)
      return sync.promise
    },
    close: async () => {},
  }
  return { file, syncs, appends }
}
const turns = async () => {
  for (let i = 0; i < 10; i += 1) await new Promise(setImmediate)
}

test('what arrives while one fsync runs shares the next', async () => {
  const { file, syncs, appends } = slowDisk()
  const log = new WriteAheadLog(file, 1, never)
  const done: string[] = []
  const append = (name: string) => log.append(record(name)).then(() => done.push(name))
  const all = [append('a')]
  await turns()
  all.push(append('b'), append('c'))
  await turns()
  assert.deepEqual([appends.length, done], [1, []], 'nothing is acknowledged before its fsync')
  syncs[0]?.resolve()
  await turns()
  assert.deepEqual([appends.length, done], [2, ['a']])
  syncs[1]?.resolve()
  await Promise.all(all)
  assert.deepEqual([syncs.length, done], [2, ['a', 'b', 'c']])
})

test('a failed fsync is never tried again: every append rejects and the node is told once', async () => {
  const { file, syncs } = slowDisk()
  const failures: unknown[] = []
  const log = new WriteAheadLog(file, 1, error => failures.push(error))
  const first = log.append(record('a'))
  first.catch(() => {})
  await turns()
  const second = log.append(record('b'))
  second.catch(() => {})
  const error = new Error('EIO')
  syncs[0]?.reject(error)
  await assert.rejects(first, error)
  await assert.rejects(second, error)
  await assert.rejects(log.append(record('c')), error)
  assert.deepEqual(failures, [error])
  assert.equal(syncs.length, 1)
})
