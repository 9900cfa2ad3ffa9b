import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WaitingBody } from './waiting-body.ts'

const totalBytes = 400_000
const body = Uint8Array.from({ length: totalBytes }, (_, i) => (i * 31) % 251)
const nothing = { [Symbol.dispose]: () => {} }

/** Sends the body as `chunksOf` cuts it. @returns what is kept of it, and the memory that this holds on to */
const keptOf = async (chunksOf: () => Iterable<Uint8Array>) => {
  const kept = { bytes: Buffer.alloc(0), parts: 0, memory: 0 }
  await using writer = new WaitingBody(totalBytes, nothing, nothing, {
    keep: async parts => {
      const buffers = new Set(parts.map(({ buffer }) => buffer))
      const memory = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0)
      Object.assign(kept, { bytes: Buffer.concat(parts), parts: parts.length, memory })
    },
    spill: () => Promise.reject(new Error('it is whole')),
  })
  for (const chunk of chunksOf()) await writer.write(chunk)
  assert.equal(writer.length, totalBytes)
  await writer.sync()
  assert.ok(kept.bytes.equals(body))
  return kept
}

/** The next bytes of the body in a message of their own, which has other things in it as well. */
const within = (messageBytes: number, at: number, length: number): Uint8Array => {
  const chunk = new Uint8Array(new ArrayBuffer(messageBytes), 5, Math.min(length, totalBytes - at))
  chunk.set(body.subarray(at, at + chunk.byteLength))
  return chunk
}

test('however a device cuts its body, hardly more than the body is kept in memory', async () => {
  const cuts: [name: string, messageBytes: number, lengths: readonly number[]][] = [
    ['many small ones', 4096, [7]],
    ['small and large ones in turn', 40_000, [1, 30_000]],
    ['large ones in messages that are larger', 300_000, [20_000]],
  ]
  for (const [name, messageBytes, lengths] of cuts) {
    const { parts, memory } = await keptOf(function* () {
      for (let at = 0, i = 0; at < totalBytes; i += 1) {
        yield new Uint8Array(0)
        const chunk = within(messageBytes, at, lengths[i % lengths.length] as number)
        yield chunk
        at += chunk.byteLength
      }
    })
    assert.ok(memory <= 2 * totalBytes, `${name}: ${memory} bytes`)
    assert.ok(parts <= 64, `${name}: ${parts} parts`)
  }
})

test('a large chunk is kept as it came', async () => {
  const { parts, memory } = await keptOf(function* () {
    for (let at = 0; at < totalBytes; at += 100_000) yield within(100_013, at, 100_000)
  })
  assert.deepEqual([parts, memory], [4, 4 * 100_013])
})
