import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { dataFolderWith, readDeclared } from '../testing/data-folder.ts'
import { DataError } from './data-error.ts'
import { DataFiles } from './data-files.ts'
import { openNpzEntry } from './npz.ts'

/** An array as NumPy saves it, by the description of its format. */
const npy = (
  descr: string,
  shape: readonly number[],
  data: Uint8Array,
  { fortran = false, version = 1 } = {},
): Buffer => {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${sizes}), }\n`
  const length = Buffer.alloc(version === 1 ? 2 : 4)
  length.writeUIntLE(text.length, 0, length.length)
  return Buffer.concat([Buffer.from('934e554d5059', 'hex'), Buffer.of(version, 0), length, Buffer.from(text), data])
}

const bytesOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer as ArrayBuffer)
const floats = npy('<f4', [2, 3], bytesOf(Float32Array.of(1, 2, 3, 4, 5, 6)))
const classes = npy('<i8', [2], bytesOf(BigInt64Array.of(1n, 0n)))

const read = (features: Buffer, labels = classes) =>
  readDeclared({ format: 'npy', features: 'x.npy', labels: 'y.npy' }, { 'x.npy': features, 'y.npy': labels })

/** A zip archive by APPNOTE.TXT: local headers with NumPy's zip64 field, central directory, end. */
const zip = (entries: Record<string, Buffer>, packed: boolean): Buffer => {
  const locals: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const [name, data] of Object.entries(entries)) {
    const body = packed ? deflateRawSync(data) : data
    const local = Buffer.alloc(30 + name.length + 20)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt16LE(name.length, 26)
    local.writeUInt16LE(20, 28)
    local.write(name, 30)
    const entry = Buffer.alloc(46 + name.length)
    entry.writeUInt32LE(0x02014b50, 0)
    entry.writeUInt16LE(packed ? 8 : 0, 10)
    entry.writeUInt32LE(body.length, 20)
    entry.writeUInt32LE(data.length, 24)
    entry.writeUInt16LE(name.length, 28)
    entry.writeUInt32LE(offset, 42)
    entry.write(name, 46)
    locals.push(local, body)
    central.push(entry)
    offset += local.length + body.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end])
}

const npz = (archive: Buffer, features = 'x') =>
  readDeclared({ format: 'npz', file: 'd.npz', features, labels: 'y' }, { 'd.npz': archive })

suite('NumPy files', () => {
  test('floats are features, integers are classes', async () => {
    const { examples, features, labels } = await read(floats)
    assert.equal(examples, 2)
    assert.deepEqual(features, Float32Array.of(1, 2, 3, 4, 5, 6))
    assert.deepEqual(labels, Int32Array.of(1, 0))
  })

  test('every number type and both byte orders are read', async () => {
    const big = Buffer.from('0001fffe', 'hex')
    const cases: [Buffer, number[]][] = [
      [npy('>i2', [2, 1], big), [1, -2]],
      [npy('>u2', [2, 1], big), [1, 65_534]],
      [npy('|u1', [2, 1], Buffer.of(0, 255)), [0, 255]],
      [npy('|i1', [2, 1], Buffer.of(1, 255)), [1, -1]],
      [npy('|b1', [2, 1], Buffer.of(0, 1)), [0, 1]],
      [npy('<f8', [2, 1], bytesOf(Float64Array.of(0.5, -2)), { version: 2 }), [0.5, -2]],
      [npy('<i4', [2, 1], bytesOf(Int32Array.of(7, -7)), { version: 3 }), [7, -7]],
      [npy('<u4', [2, 1], bytesOf(Uint32Array.of(7, 2 ** 31))), [7, 2 ** 31]],
      [npy('<u8', [2, 1], bytesOf(BigUint64Array.of(7n, 9n))), [7, 9]],
    ]
    for (const [file, expected] of cases) assert.deepEqual((await read(file)).features, Float32Array.from(expected))
  })

  test('labels that are numbers stay numbers', async () => {
    assert.deepEqual(
      (await read(floats, npy('<f8', [2, 1], bytesOf(Float64Array.of(0.5, 2))))).labels,
      Float32Array.of(0.5, 2),
    )
  })

  const refused: [string, Buffer, RegExp][] = [
    [
      'Fortran order',
      npy('<f4', [2, 3], new Uint8Array(24), { fortran: true }),
      /Fortran order; save numpy\.ascontiguous/,
    ],
    ['records', Buffer.from(floats.toString('latin1').replace("'<f4'", "[('a'"), 'latin1'), /holds records/],
    ['text', npy('<U4', [2], new Uint8Array(32)), /holds <U4; save it with \.astype/],
    ['objects', npy('|O', [2], new Uint8Array(16)), /holds \|O/],
    ['another format', Buffer.from('504b0304504b0304', 'hex'), /begins with 504b0304504b, a \.npy file with 934e/],
    ['a newer version', npy('<f4', [2, 3], new Uint8Array(24), { version: 4 }), /format version 4/],
    ['too few bytes', floats.subarray(0, -1), /takes \d+ bytes, the file has/],
    ['an impossible shape', npy('<f4', [2, 2 ** 52], new Uint8Array(0)), /takes \d+ bytes, the file has/],
    ['no examples', npy('<f4', [], new Uint8Array(4)), /a single number; its first axis must be the examples/],
    ['another number of examples', npy('<f4', [3, 1], new Uint8Array(12)), /has 3 examples, y\.npy has 2/],
    ['not a number', npy('<f4', [2, 1], bytesOf(Float32Array.of(0, Number.NaN))), /x\.npy, row 1: NaN is no float32/],
    ['nothing', Buffer.alloc(0), /ends after 0 bytes/],
  ]
  for (const [what, file, message] of refused) {
    test(`${what} is refused`, () => assert.rejects(read(file), { name: 'DataError', message }))
  }

  test('a class beyond int32 is refused with its row', async () => {
    const labels = npy('<i8', [2], bytesOf(BigInt64Array.of(0n, 2n ** 40n)))
    await assert.rejects(read(floats, labels), { code: 'LABELS_UNUSABLE', message: /y\.npy, row 1/ })
  })

  test('any damage is read or refused with a typed error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(floats.length - 1), fc.nat(255), async (at, byte) => {
        const damaged = Buffer.from(floats)
        damaged[at] = byte
        await read(damaged).catch(error => assert.ok(error instanceof DataError, String(error)))
      }),
    )
  })
})

suite('NumPy archives', () => {
  const entries = { 'x.npy': floats, 'y.npy': classes }

  test('arrays are found by name, packed or not', async () => {
    for (const packed of [false, true]) {
      const { features, labels } = await npz(zip(entries, packed))
      assert.deepEqual(features, Float32Array.of(1, 2, 3, 4, 5, 6))
      assert.deepEqual(labels, Int32Array.of(1, 0))
    }
  })

  test('a packed array is unpacked piece by piece, and no further than it is read', async () => {
    // 256 MiB of zeros in 260 KB.
    const header = npy('<f4', [2 ** 16, 1024], new Uint8Array(0))
    const archive = zip({ 'x.npy': Buffer.concat([header, Buffer.alloc(2 ** 28)]), 'y.npy': classes }, true)
    await using folder = await dataFolderWith({ 'd.npz': archive })
    await using files = DataFiles.of(folder.path)
    const before = process.memoryUsage().external
    const entry = await openNpzEntry(files, 'd.npz', 'x')
    assert.equal(entry.size, header.length + 2 ** 28)
    assert.deepEqual(await entry.read(0, header.length), header)
    assert.deepEqual(await entry.read(2 ** 25, 4), Buffer.alloc(4))
    assert.deepEqual(await entry.read(0, header.length), header)
    assert.ok(process.memoryUsage().external - before < 2 ** 26)
  })

  test('a missing array is refused with the names of those that are there', async () => {
    await assert.rejects(npz(zip(entries, true), 'z'), { code: 'NPZ_MALFORMED', message: /no array "z", but x, y/ })
    await assert.rejects(npz(Buffer.from('no archive')), { message: /no zip archive/ })
  })

  test('an entry does not unpack to more than its directory says', async () => {
    const archive = zip({ 'x.npy': Buffer.concat([floats, Buffer.alloc(1e6)]), 'y.npy': classes }, true)
    const at = archive.lastIndexOf(Buffer.from('504b0102', 'hex'), archive.lastIndexOf('x.npy'))
    archive.writeUInt32LE(floats.length, at + 24)
    await assert.rejects(npz(archive), { code: 'NPZ_MALFORMED', message: /damaged/ })
  })

  test('any damage is read or refused with a typed error', async () => {
    const whole = zip(entries, true)
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), async (at, byte) => {
        const damaged = Buffer.from(whole)
        damaged[at] = byte
        await npz(damaged).catch(error => assert.ok(error instanceof DataError, String(error)))
      }),
    )
  })
})
