import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { packetLimit } from './packet-limit.ts'

/** A PUBLISH of QoS 0 to the topic `t` [MQTT-3.3]. */
function publish(bytes: number): Buffer {
  const length: number[] = []
  for (let left = bytes + 3; length.length === 0 || left > 0; left = Math.floor(left / 128)) {
    length.push((left % 128) + (left >= 128 ? 128 : 0))
  }
  return Buffer.concat([Buffer.from([0x30, ...length, 0, 1, 0x74]), Buffer.alloc(bytes)])
}

/** The error that the limit ends with when these bytes come in pieces cut at `cuts`. */
async function fed(bytes: Buffer, cuts: number[], limit: number): Promise<Error | undefined> {
  const stream = packetLimit(limit)
  stream.resume()
  const ended = new Promise<Error | undefined>(resolve => {
    stream.once('error', resolve)
    stream.once('end', () => resolve(undefined))
  })
  const sorted = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  for (let at = 1; at < sorted.length; at++) {
    const piece = bytes.subarray(sorted[at - 1], sorted[at])
    if (piece.length > 0 && !stream.destroyed) stream.write(piece)
  }
  stream.end()
  return ended
}

test('packets within the limit pass, however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(900), { maxLength: 6 }),
      fc.array(fc.nat(10_000), { maxLength: 8 }),
      async (sizes, cuts) => {
        assert.equal(await fed(Buffer.concat(sizes.map(publish)), cuts, 1000), undefined)
      },
    ),
  )
})

test('a packet over the limit fails at its header, before its body came', async () => {
  const header = publish(100_000).subarray(0, 4)
  assert.match((await fed(Buffer.concat([publish(10), header]), [3, 13], 1000))?.message ?? '', /over the limit/)
})

test('a length of five bytes is malformed', async () => {
  assert.match((await fed(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]), [], 1000))?.message ?? '', /malformed/)
})
