import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { LogCorruptError } from './log-corrupt-error.ts'
import { LogKey } from './log-key.ts'
import { encodeRecord, logMagic, openRecord } from './record.ts'
import { replayLog } from './replay.ts'

const seal = new LogKey(randomBytes(32)).records('test')
const record = (text: string, commit: number) => encodeRecord({ type: 7, payload: Buffer.from(text) }, commit, seal)
const read = async (bytes: Buffer) => {
  const texts: string[] = []
  const log = {
    size: bytes.byteLength,
    read: async (offset: number, length: number) => bytes.subarray(offset, offset + length),
  }
  const replay = await replayLog(log, placed => texts.push(Buffer.from(openRecord(placed, seal).payload).toString()))
  return { texts, ...replay }
}

const commits = [[record('first', 1)], [record('second', 2), record('third', 2)], [record('fourth', 3)]]
const whole = Buffer.concat([logMagic, ...commits.flat()])
const ends: number[] = []
for (const { byteLength } of commits.flat()) ends.push((ends.at(-1) ?? 8) + byteLength)

test('a log reads back what was written, which the file does not show', async () => {
  const texts = ['first', 'second', 'third', 'fourth']
  assert.deepEqual(await read(whole), { texts, soundBytes: whole.byteLength, nextCommit: 4 })
  for (const text of texts) assert.equal(whole.includes(text), false)
})

test('a log of records that are larger than what is read at a time reads back', async () => {
  const large = [900_000, 1_300_000, 10, 4_000_000, 1].map(length => 'x'.repeat(length))
  const { texts } = await read(Buffer.concat([logMagic, ...large.map((text, i) => record(text, i + 1))]))
  assert.deepEqual(
    texts.map(({ length }) => length),
    large.map(({ length }) => length),
  )
})

test('a log cut at any byte keeps the records before the cut', async () => {
  for (let length = 0; length < whole.byteLength; length += 1) {
    const kept = ends.filter(end => end <= length).length
    const replay = await read(whole.subarray(0, length))
    assert.equal(replay.texts.length, kept, `cut at ${length}`)
    assert.equal(replay.soundBytes, length < 8 ? 0 : (ends[kept - 1] ?? 8), `cut at ${length}`)
  }
})

test('any damaged byte in the newest commit is a torn tail', async () => {
  for (let at = ends[2] as number; at < whole.byteLength; at += 1) {
    const torn = Buffer.from(whole)
    torn[at] = (torn[at] as number) ^ 0xff
    assert.deepEqual((await read(torn)).texts, ['first', 'second', 'third'], `byte ${at}`)
  }
})

test('pages of one commit may be lost in any order', async () => {
  // Of the group commit 2 only its second record reached the disk.
  const torn = Buffer.from(whole.subarray(0, ends[2]))
  torn.fill(0, ends[0], ends[1])
  assert.deepEqual((await read(torn)).texts, ['first'])
})

test('damage before a later commit that is sound is corruption, not a torn tail', async () => {
  for (let at = 8; at < (ends[0] as number); at += 1) {
    const damaged = Buffer.from(whole)
    damaged[at] = (damaged[at] as number) ^ 0x01
    await assert.rejects(read(damaged), LogCorruptError, `byte ${at}`)
  }
})

test('a later commit that is sound is found however far behind the damage it is', async () => {
  const middle = record('x'.repeat(3_000_000), 2)
  const damaged = Buffer.concat([logMagic, record('first', 1), middle, record('third', 3)])
  damaged[1000] = (damaged[1000] as number) ^ 0x01
  await assert.rejects(read(damaged), LogCorruptError)
})

test('a log that was sealed by another key is refused', async () => {
  const foreign = new LogKey(randomBytes(32)).records('test')
  const bytes = Buffer.concat([logMagic, encodeRecord({ type: 7, payload: Buffer.from('x') }, 1, foreign)])
  await assert.rejects(read(bytes), /sealed by another key/)
})

test('a file of another kind is refused', async () => {
  await assert.rejects(read(Buffer.from('NOTALOG!and so on')), LogCorruptError)
})

test('no bytes make the reader throw anything but LogCorruptError, and what it keeps is a prefix', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.nat(whole.byteLength), async (noise, cut) => {
      try {
        const kept = (await read(Buffer.concat([whole.subarray(0, cut), noise]))).texts
        assert.deepEqual(kept, ['first', 'second', 'third', 'fourth'].slice(0, kept.length))
      } catch (error) {
        assert.ok(error instanceof LogCorruptError)
      }
    }),
    { numRuns: 2000 },
  )
})
