import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DTYPES } from '../dtype.ts'
import { tensorBytes } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { bytesOf, typedView } from '../view.ts'
import { decodeSafetensors, encodeSafetensors } from './file.ts'
import { SafetensorsError } from './safetensors-error.ts'

// safetensors 0.8.0 for Python, `safetensors.numpy.save` of the six arrays below.
const PYTHON_FILE =
  '68010000000000007b226e223a7b226474797065223a22493634222c227368617065223a5b315d2c22646174615f6f666673657473223a5b302c385d7d2c2278223a7b226474797065223a22463634222c227368617065223a5b325d2c22646174615f6f666673657473223a5b382c32345d7d2c2264656e73652fc3bc205c22315c22223a7b226474797065223a22463332222c227368617065223a5b322c325d2c22646174615f6f666673657473223a5b32342c34305d7d2c226e6f6e65223a7b226474797065223a22463332222c227368617065223a5b302c335d2c22646174615f6f666673657473223a5b34302c34305d7d2c2268616c66223a7b226474797065223a22463136222c227368617065223a5b5d2c22646174615f6f666673657473223a5b34302c34325d7d2c22666c6167223a7b226474797065223a22424f4f4c222c227368617065223a5b335d2c22646174615f6f666673657473223a5b34322c34355d7d7d2020202020200700000000000000000000000000f83f00000000000000c00000803f0000004000004040000080400038010001'

const sameArrays: Tensor[] = [
  { name: 'n', dtype: 'I64', shape: [1], bytes: bytesOf(BigInt64Array.of(7n)) },
  { name: 'x', dtype: 'F64', shape: [2], bytes: bytesOf(Float64Array.of(1.5, -2)) },
  { name: 'dense/ü "1"', dtype: 'F32', shape: [2, 2], bytes: bytesOf(Float32Array.of(1, 2, 3, 4)) },
  { name: 'none', dtype: 'F32', shape: [0, 3], bytes: new Uint8Array() },
  { name: 'half', dtype: 'F16', shape: [], bytes: bytesOf(Uint16Array.of(0x3800)) },
  { name: 'flag', dtype: 'BOOL', shape: [3], bytes: Uint8Array.of(1, 0, 1) },
]

test('writes byte for byte what the reference implementation writes', () => {
  assert.equal(Buffer.from(encodeSafetensors(sameArrays)).toString('hex'), PYTHON_FILE)
})

test('reads what the reference implementation wrote', () => {
  const tensors = decodeSafetensors(Buffer.from(PYTHON_FILE, 'hex'))
  assert.deepEqual([...tensors.keys()], ['n', 'x', 'dense/ü "1"', 'none', 'half', 'flag'])
  assert.deepEqual(tensors.get('dense/ü "1"')?.shape, [2, 2])
  assert.deepEqual(typedView(tensors.get('dense/ü "1"')?.bytes as Uint8Array, 'F32'), Float32Array.of(1, 2, 3, 4))
})

const arbitraryTensor: fc.Arbitrary<Tensor> = fc
  .record({
    name: fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 20 }),
      fc.constantFrom('__proto__', 'constructor', '', '\u0000"\\', '\u2028'),
    ),
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.nat({ max: 4 }), { maxLength: 4 }),
    fill: fc.nat({ max: 255 }),
  })
  .map(({ name, dtype, shape, fill }) => {
    return { name, dtype, shape, bytes: new Uint8Array(tensorBytes(dtype, shape) as number).fill(fill) }
  })

const arbitraryTensors = fc.uniqueArray(arbitraryTensor, { selector: tensor => tensor.name, maxLength: 8 })

test('every list of tensors survives writing and reading', () => {
  fc.assert(
    fc.property(arbitraryTensors, tensors => {
      const file = encodeSafetensors(tensors)
      const read = decodeSafetensors(file)
      assert.equal(read.size, tensors.length)
      for (const tensor of tensors) {
        const { name, dtype, shape, bytes } = read.get(tensor.name) as Tensor
        assert.deepEqual(
          { name, dtype, shape, bytes: Buffer.from(bytes) },
          { ...tensor, bytes: Buffer.from(tensor.bytes) },
        )
      }
    }),
  )
})

test('a file with any bytes changed, cut or added is read or refused by code, nothing else', () => {
  let refused = 0
  const edit = fc.record({ at: fc.nat(), value: fc.nat({ max: 255 }) })
  fc.assert(
    fc.property(
      arbitraryTensors,
      fc.array(edit, { maxLength: 4 }),
      fc.integer({ min: -9, max: 9 }),
      (tensors, edits, change) => {
        const original = encodeSafetensors(tensors)
        const file = new Uint8Array(Math.max(0, original.length + change))
        file.set(original.subarray(0, file.length))
        for (const { at, value } of edits) if (file.length > 0) file[at % file.length] = value
        refused += refusal(file) === null ? 0 : 1
      },
    ),
    { numRuns: 2_000 },
  )
  assert.ok(refused > 500)
})

test('arbitrary bytes are refused by code, nothing else', () => {
  const text = fc.oneof(
    fc.json().map(json => new TextEncoder().encode(json)),
    fc.uint8Array({ maxLength: 200 }),
  )
  fc.assert(
    fc.property(text, fc.integer({ min: -2, max: 2 }), (body, off) => {
      const file = new Uint8Array(8 + body.length)
      new DataView(file.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(body.length + off)), true)
      file.set(body, 8)
      refusal(file)
    }),
    { numRuns: 2_000 },
  )
})

test('bytes that are not what the shape takes are not written', () => {
  const wrong: Tensor = { name: 'w', dtype: 'F32', shape: [2], bytes: new Uint8Array(7) }
  assert.throws(() => encodeSafetensors([wrong]), { code: 'SIZE_MISMATCH', tensor: 'w' })
  assert.throws(() => encodeSafetensors([...sameArrays, ...sameArrays]), { code: 'DUPLICATE_NAME', tensor: 'n' })
})

/** The code of a refusal, `null` when the file is read; any other error fails the test. */
function refusal(file: Uint8Array): string | null {
  try {
    decodeSafetensors(file)
    return null
  } catch (error) {
    if (error instanceof SafetensorsError) return error.code
    throw error
  }
}
