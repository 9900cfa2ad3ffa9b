import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeRecord, logMagic } from './record.ts'
import { LogCorruptError, replayLog } from './replay.ts'

const record = (text: string, commit: number) => encodeRecord({ type: 7, payload: Buffer.from(text) }, commit)
const texts = (bytes: Buffer) => replayLog(bytes).records.map(({ payload }) => Buffer.from(payload).toString())

const commits = [[record('first', 1)], [record('second', 2), record('third', 2)], [record('fourth', 3)]]
const whole = Buffer.concat([logMagic, ...commits.flat()])
const ends: number[] = []
for (const { byteLength } of commits.flat()) ends.push((ends.at(-1) ?? 8) + byteLength)

test('a log reads back what was written', () => {
  assert.deepEqual(texts(whole), ['first', 'second', 'third', 'fourth'])
  assert.deepEqual({ ...replayLog(whole), records: 0 }, { records: 0, soundBytes: whole.byteLength, nextCommit: 4 })
})

test('a log cut at any byte keeps the records before the cut', () => {
  for (let length = 0; length < whole.byteLength; length += 1) {
    const kept = ends.filter(end => end <= length).length
    const replay = replayLog(whole.subarray(0, length))
    assert.equal(replay.records.length, kept, `cut at ${length}`)
    assert.equal(replay.soundBytes, length < 8 ? 0 : (ends[kept - 1] ?? 8), `cut at ${length}`)
  }
})

test('any damaged byte in the newest commit is a torn tail', () => {
  for (let at = ends[2] as number; at < whole.byteLength; at += 1) {
    const torn = Buffer.from(whole)
    torn[at] = (torn[at] as number) ^ 0xff
    assert.deepEqual(texts(torn), ['first', 'second', 'third'], `byte ${at}`)
  }
})

test('pages of one commit may be lost in any order', () => {
  // Of the group commit 2 only its second record reached the disk.
  const torn = Buffer.from(whole.subarray(0, ends[2]))
  torn.fill(0, ends[0], ends[1])
  assert.deepEqual(texts(torn), ['first'])
})

test('damage before a later commit that is sound is corruption, not a torn tail', () => {
  for (let at = 8; at < (ends[0] as number); at += 1) {
    const damaged = Buffer.from(whole)
    damaged[at] = (damaged[at] as number) ^ 0x01
    assert.throws(() => replayLog(damaged), LogCorruptError, `byte ${at}`)
  }
})

test('a file of another kind is refused', () => {
  assert.throws(() => replayLog(Buffer.from('NOTALOG!and so on')), LogCorruptError)
})

test('no bytes make the reader throw anything but LogCorruptError, and what it keeps is a prefix', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(whole.byteLength), (noise, cut) => {
      const bytes = Buffer.concat([whole.subarray(0, cut), noise])
      try {
        const kept = texts(bytes)
        assert.deepEqual(kept, ['first', 'second', 'third', 'fourth'].slice(0, kept.length))
      } catch (error) {
        assert.ok(error instanceof LogCorruptError)
      }
    }),
    { numRuns: 2000 },
  )
})
