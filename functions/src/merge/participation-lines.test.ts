import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ParticipationListError, participationLines } from './participation-lines.ts'

const device = '01890000-0000-7000-8000-00000000000'
const line = (index: number) => ({ device: `${device}${index}`, label: `über-${index}`, verdict: 'accepted' as const })
const cut = async function* (bytes: Uint8Array, size: number) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}
const parse = (bytes: Uint8Array, size = 7) => Array.fromAsync(participationLines(cut(bytes, size)))

test('lines are the same however the bytes are cut', async () => {
  const lines = [line(1), line(2), line(3)]
  const bytes = Buffer.from(`${lines.map(value => JSON.stringify(value)).join('\n')}\n`)
  for (const size of [1, 2, 7, 64, 1000]) assert.deepEqual(await parse(bytes, size), lines)
  assert.deepEqual(await parse(bytes.subarray(0, -1)), lines)
  assert.deepEqual(await parse(Buffer.alloc(0)), [])
})

test('a line that is too long is refused before it is held', async () => {
  await assert.rejects(parse(Buffer.alloc(200_000, 'a'), 16_384), /line 1 is longer/)
})

test('bytes that are no list are refused by their own error, with the line', async () => {
  const good = `${JSON.stringify(line(1))}\n`
  await assert.rejects(parse(Buffer.from(`${good}{"device":`)), /line 2 is not JSON/)
  await assert.rejects(parse(Buffer.from(`${good}{"device":"../../etc"}\n`)), /line 2/)
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async bytes => {
      await parse(bytes).catch(error => assert.ok(error instanceof ParticipationListError))
    }),
  )
})
