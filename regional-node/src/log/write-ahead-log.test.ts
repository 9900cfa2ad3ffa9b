import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Budget } from './budget.ts'
import { LogKey } from './log-key.ts'
import { NoRoomError } from './no-room-error.ts'
import { type LogFile, type LogOptions, openLog, WriteAheadLog } from './write-ahead-log.ts'

const seal = new LogKey(randomBytes(32)).records('test')
const never = (error: unknown) => assert.fail(`the disk failed: ${error}`)
const options = (onFailure: LogOptions['onFailure'] = never, budget = new Budget(1e9)): LogOptions => ({
  seal,
  onFailure,
  room: budget.account(),
})

const temporary = async (): Promise<{ path: string } & AsyncDisposable> => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-log-'))
  return { path: join(folder, 'log'), [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}
const record = (text: string) => ({ type: 1, payload: Buffer.from(text) })
/** Opens a log and reads what is in it. */
const reopen = async (path: string, budget?: Budget) => {
  const texts: string[] = []
  const offsets: number[] = []
  const log = await openLog(path, options(never, budget), ({ payload }, offset) => {
    texts.push(Buffer.from(payload).toString())
    offsets.push(offset)
  })
  return { log, texts, offsets, [Symbol.asyncDispose]: () => log.close() }
}

test('records are on disk in the order of the calls once their append resolves, each at the offset that it gave', async () => {
  await using place = await temporary()
  const names = Array.from({ length: 100 }, (_, i) => `record ${i}`)
  const budget = new Budget(1e9)
  const { log } = await reopen(place.path, budget)
  const offsets = await Promise.all(names.map(name => log.append(record(name))))
  for (const i of [0, 57, 99]) {
    assert.equal(Buffer.from((await log.read(offsets[i] as number)).payload).toString(), names[i])
  }
  assert.equal(budget.used, (await readFile(place.path)).byteLength, 'the bytes of the log are counted')
  await log.close()
  assert.equal(budget.used, 0)
  await using again = await reopen(place.path)
  assert.deepEqual([again.texts, again.offsets], [names, offsets])
  await assert.rejects(again.log.read((offsets[1] as number) + 1), /no sound record/)
})

test('a torn tail is cut off and the log goes on behind the sound part', async () => {
  await using place = await temporary()
  const first = await reopen(place.path)
  await first.log.append(record('kept'))
  await first.log.close()
  await appendFile(place.path, Buffer.from([9, 0, 0, 0, 2, 0, 0]))
  const second = await reopen(place.path)
  assert.deepEqual(second.texts, ['kept'])
  await second.log.append(record('after'))
  await second.log.close()
  await using third = await reopen(place.path)
  assert.deepEqual(third.texts, ['kept', 'after'])
})

/** A disk that says when it is done, and may be full. */
const slowDisk = () => {
  const syncs: PromiseWithResolvers<void>[] = []
  const writes: Buffer[] = []
  const cuts: number[] = []
  const disk = { isFull: false }
  const file: LogFile = {
    write: async bytes => {
      if (disk.isFull) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      writes.push(bytes)
    },
    sync: () => {
      const sync = Promise.withResolvers<void>()
      syncs.push(sync)
      return sync.promise
    },
    cut: async end => void cuts.push(end),
    read: async () => Buffer.alloc(0),
    close: async () => {},
  }
  return { file, syncs, writes, cuts, disk }
}
const end = { bytes: 8, nextCommit: 1 }
const turns = async () => {
  for (let i = 0; i < 10; i += 1) await new Promise(setImmediate)
}

test('what arrives while one fsync runs shares the next', async () => {
  const { file, syncs, writes } = slowDisk()
  const log = new WriteAheadLog(file, end, options())
  const done: string[] = []
  const append = (name: string) => log.append(record(name)).then(() => done.push(name))
  const all = [append('a')]
  await turns()
  all.push(append('b'), append('c'))
  await turns()
  assert.deepEqual([writes.length, done], [1, []], 'nothing is acknowledged before its fsync')
  syncs[0]?.resolve()
  await turns()
  assert.deepEqual([writes.length, done], [2, ['a']])
  syncs[1]?.resolve()
  await Promise.all(all)
  assert.deepEqual([syncs.length, done], [2, ['a', 'b', 'c']])
})

test('a failed fsync is never tried again: every append rejects and the node is told once', async () => {
  const { file, syncs } = slowDisk()
  const failures: unknown[] = []
  const log = new WriteAheadLog(
    file,
    end,
    options(error => failures.push(error)),
  )
  const first = log.append(record('a'))
  first.catch(() => {})
  await turns()
  const second = log.append(record('b'))
  second.catch(() => {})
  const error = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  syncs[0]?.reject(error)
  await assert.rejects(first, error, 'a full disk is no excuse for an fsync')
  await assert.rejects(second, error)
  await assert.rejects(log.append(record('c')), error)
  assert.deepEqual(failures, [error])
  assert.equal(syncs.length, 1)
})

test('a full disk refuses what waits, leaves nothing of it behind, and the log goes on once there is room', async () => {
  const { file, syncs, writes, cuts, disk } = slowDisk()
  const log = new WriteAheadLog(file, end, options())
  disk.isFull = true
  const refused = await Promise.allSettled([log.append(record('a')), log.append(record('b'))])
  for (const outcome of refused) {
    assert.ok(outcome.status === 'rejected' && outcome.reason instanceof NoRoomError)
  }
  assert.deepEqual([cuts, syncs.length], [[8], 0])
  disk.isFull = false
  const kept = log.append(record('c'))
  await turns()
  syncs[0]?.resolve()
  assert.equal(await kept, 8)
  // The commit that was refused has no number: a replay sees no gap.
  assert.equal(writes[0]?.readUInt32LE(4), 1)
})
