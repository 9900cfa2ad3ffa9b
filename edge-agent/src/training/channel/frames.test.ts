import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame } from './encode-frame.ts'
import { FrameReader } from './frame-reader.ts'

const array = fc.oneof(
  fc.array(fc.float({ noNaN: true }), { maxLength: 20 }).map(values => Float32Array.from(values)),
  fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 20 }).map(values => Int32Array.from(values)),
  fc.uint8Array({ maxLength: 20 }),
)
const plain = { noNullPrototype: true }
const nested = fc.record({ one: array, many: fc.array(array, { maxLength: 3 }) }, plain)
const message = fc.record({ kind: fc.string(), id: fc.integer(), nested }, plain)

suite('frames between the agent and the process that trains', () => {
  test('messages come out as they went in, however their bytes are cut', () => {
    const property = fc.property(
      fc.array(message, { maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (messages, cuts) => {
        const bytes = Buffer.concat(messages.flatMap(encodeFrame))
        const received: unknown[] = []
        const reader = new FrameReader(
          each => received.push(each),
          () => 10_000,
        )
        for (let at = 0, cut = 0; at < bytes.length; cut++) {
          const size = cuts[cut % cuts.length] as number
          // As a chunk is: used again for the next one.
          const chunk = Buffer.from(bytes.subarray(at, at + size))
          reader.push(chunk)
          chunk.fill(0xff)
          at += size
        }
        assert.deepEqual(received, messages)
      },
    )
    fc.assert(property, { numRuns: 200 })
  })

  test('a Buffer and a part of a larger array travel as the bytes that they show', () => {
    const received: unknown[] = []
    const reader = new FrameReader(
      each => received.push(each),
      () => 100,
    )
    const part = Float32Array.of(1, 2, 3, 4).subarray(1, 3)
    for (const piece of encodeFrame({ graph: Buffer.from('graph'), part })) reader.push(piece)
    assert.deepEqual(received, [{ graph: new Uint8Array(Buffer.from('graph')), part: Float32Array.of(2, 3) }])
  })

  test('arrays larger than what is due, and bytes that are no frame, are refused before room is made for them', () => {
    const reader = () =>
      new FrameReader(
        () => assert.fail('nothing is whole'),
        () => 8,
      )
    const large = encodeFrame({ weights: new Float32Array(3) })
    assert.throws(() => reader().push(large[0] as Uint8Array), /12 bytes of arrays, at most 8/)
    assert.throws(() => reader().push(Buffer.from('hello, world')), RangeError)
    assert.throws(() => reader().push(Buffer.from('\x04\0\0\0abcd')), SyntaxError)
    const negative = Buffer.from('{"message":{},"arrays":[{"type":"u8","bytes":-4}]}')
    const prefix = Buffer.alloc(4)
    prefix.writeUInt32LE(negative.length)
    assert.throws(() => reader().push(Buffer.concat([prefix, negative])), RangeError)
  })
})
