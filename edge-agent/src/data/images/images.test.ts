import assert from 'node:assert/strict'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { dataFolderWith, readDeclared } from '../../testing/data-folder.ts'
import { DataError } from '../data-error.ts'
import { DataFiles } from '../data-files.ts'
import { DatasetDeclaration } from '../declarations/dataset-declaration.ts'
import { readExamples } from '../read-examples.ts'

const chunk = (type: string, data: Buffer): Buffer => {
  const body = Buffer.concat([Buffer.from(type), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

/** A PNG file by https://www.w3.org/TR/png-3/: colour type 0 is grey, 2 RGB, 6 RGB with alpha. */
const png = (
  width: number,
  height: number,
  colourType: 0 | 2 | 6,
  pixels: readonly number[],
  claim = { width, height },
) => {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(claim.width, 0)
  header.writeUInt32BE(claim.height, 4)
  header.set([8, colourType, 0, 0, 0], 8)
  const rowBytes = pixels.length / height
  const rows = Array.from({ length: height }, (_, y) => [0, ...pixels.slice(y * rowBytes, (y + 1) * rowBytes)])
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.from(rows.flat()))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

const fixture = (name: string): Promise<Buffer> => readFile(new URL(`../fixtures/${name}`, import.meta.url))

const declaration = {
  format: 'images',
  folder: 'pictures',
  classes: ['cat', 'dog'],
  height: 2,
  width: 2,
  channels: 1,
}
const grey = png(2, 2, 0, [0, 64, 128, 255])
const colour = png(2, 2, 2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])

suite('folders of images', () => {
  test('the sub-folder is the class, the order is that of the names', async () => {
    const { examples, features, labels } = await readDeclared(declaration, {
      'pictures/dog/a.png': png(2, 2, 0, [1, 2, 3, 4]),
      'pictures/cat/deeper/b.PNG': grey,
      'pictures/cat/.hidden.png': 'x',
      'pictures/cat/notes.txt': 'x',
    })
    assert.equal(examples, 2)
    assert.deepEqual(features, { bytes: Uint8Array.of(0, 64, 128, 255, 1, 2, 3, 4), scale: 255 })
    assert.deepEqual(labels, Int32Array.of(0, 1))
  })

  test('a table gives the classes', async () => {
    const { labels } = await readDeclared(
      { ...declaration, labels: { file: 'labels.csv', image: 'file', label: 'kind' } },
      { 'pictures/1.png': grey, 'pictures/2.png': grey, 'labels.csv': 'kind,file\ndog,1.png\ncat,2.png\n' },
    )
    assert.deepEqual(labels, Int32Array.of(1, 0))
  })

  test('colours lie channel by channel or pixel by pixel, and are normalised by channel', async () => {
    const files = { 'pictures/cat/a.png': colour }
    const hwc = await readDeclared({ ...declaration, channels: 3, layout: 'hwc' }, files)
    assert.deepEqual(hwc.features, { bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), scale: 255 })
    const chw = await readDeclared({ ...declaration, channels: 3 }, files)
    assert.deepEqual(chw.features, { bytes: Uint8Array.of(1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12), scale: 255 })
    const normalise = { by: 'moments', mean: [1, 2, 3], deviation: [1, 2, 4] }
    const normal = await readDeclared({ ...declaration, channels: 3, scale: 1, normalise }, files)
    assert.deepEqual(normal.features, Float32Array.of(0, 3, 6, 9, 0, 1.5, 3, 4.5, 0, 0.75, 1.5, 2.25))
  })

  test('grey becomes colour and colour grey, and what is transparent is black', async () => {
    const three = await readDeclared({ ...declaration, channels: 3, layout: 'hwc' }, { 'pictures/cat/a.png': grey })
    assert.deepEqual(three.features, {
      bytes: Uint8Array.of(0, 0, 0, 64, 64, 64, 128, 128, 128, 255, 255, 255),
      scale: 255,
    })
    const clear = png(2, 2, 6, [9, 9, 9, 255, 200, 200, 200, 0, 200, 200, 200, 0, 255, 255, 255, 255])
    const one = await readDeclared(declaration, { 'pictures/cat/a.png': clear })
    assert.deepEqual(one.features, { bytes: Uint8Array.of(9, 0, 0, 255), scale: 255 })
  })

  test('images of one colour keep it at any size, from JPEG as well', async () => {
    const files = {
      'pictures/cat/a.jpg': await fixture('grey.jpg'),
      'pictures/dog/b.jpeg': await fixture('colour.jpg'),
    }
    const { features } = await readDeclared({ ...declaration, channels: 3, height: 3, width: 5, layout: 'hwc' }, files)
    assert.ok('bytes' in features)
    const expected = [...Array(15).fill([200, 200, 200]), ...Array(15).fill([200, 100, 50])].flat()
    // JPEG rounds colours: PyArrow's neighbour Pillow unpacks the second one to (200, 100, 50) ± 1 as well.
    for (const [index, value] of expected.entries()) assert.ok(Math.abs((features.bytes[index] as number) - value) <= 1)
  })

  test('a picture that was taken sideways is turned upright', async () => {
    const files = { 'pictures/cat/a.jpg': await fixture('sideways.jpg') }
    const { features } = await readDeclared(declaration, files)
    assert.ok('bytes' in features)
    // Black at the left, white at the right; a quarter turn to the right brings black to the top.
    const [a = 0, b = 0, c = 0, d = 0] = features.bytes
    assert.ok(a < 40 && b < 40 && c > 215 && d > 215, `${features.bytes}`)
  })

  test('a broken image is refused with its path, or passed over', async () => {
    const bomb = png(1, 1, 0, [0], { width: 100_000, height: 100_000 })
    const files = {
      'pictures/cat/bomb.png': bomb,
      'pictures/cat/cut.png': grey.subarray(0, 45),
      'pictures/cat/empty.jpg': '',
      'pictures/cat/good.png': grey,
      'pictures/cat/lies.jpg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
      'pictures/dog/cut.jpg': (await fixture('grey.jpg')).subarray(0, 100),
    }
    await assert.rejects(readDeclared(declaration, files), ({ code, message }: DataError) => {
      assert.equal(code, 'IMAGE_BROKEN')
      for (const part of [
        /^5 rows or fields cannot be used/,
        /pictures\/cat\/bomb\.png: it has 100000 × 100000 pixels; at most 100000000 are unpacked/,
        /pictures\/cat\/cut\.png: it cannot be unpacked/,
        /pictures\/cat\/empty\.jpg: it is empty/,
        /pictures\/cat\/lies\.jpg: it is neither a PNG nor a JPEG/,
        /pictures\/dog\/cut\.jpg: /,
      ])
        assert.match(message, part)
      return true
    })
    const { examples, labels } = await readDeclared({ ...declaration, onBroken: 'skip' }, files)
    assert.deepEqual([examples, labels], [1, Int32Array.of(0)])
  })

  test('an image outside of the classes, and an unknown class in the table, are refused', async () => {
    await assert.rejects(readDeclared(declaration, { 'pictures/bird/a.png': grey }), {
      message: /pictures\/bird\/a\.png lies in none of the folders of the 2 classes/,
    })
    await assert.rejects(readDeclared(declaration, { 'pictures/a.png': grey }), { code: 'LABELS_UNUSABLE' })
    const labels = { file: 'labels.csv', image: 'file', label: 'kind' }
    await assert.rejects(
      readDeclared({ ...declaration, labels }, { 'pictures/a.png': grey, 'labels.csv': 'file,kind\na.png,bird\n' }),
      { message: /labels\.csv, line 2, column "kind": "bird" is none of the 2 classes/ },
    )
  })

  test('nothing outside of the data folder is read, by name or by link', async () => {
    await using outside = await dataFolderWith({ 'cat/a.png': grey })
    const labels = { file: 'labels.csv', image: 'file', label: 'kind' }
    await using folder = await dataFolderWith({
      'pictures/cat/a.png': grey,
      'labels.csv': `file,kind\n../../${outside.path.split('/').at(-1)}/cat/a.png,cat\n`,
      'linked.csv': 'file,kind\ncat/link.png,cat\n',
    })
    await symlink(join(outside.path, 'cat'), join(folder.path, 'pictures/dog'))
    await symlink(join(outside.path, 'cat/a.png'), join(folder.path, 'pictures/cat/link.png'))
    await symlink(outside.path, join(folder.path, 'elsewhere'))
    const read = async (options: Record<string, unknown>) => {
      await using files = DataFiles.of(folder.path)
      return await readExamples(DatasetDeclaration.parse({ name: 'x', ...declaration, ...options }), files, 2 ** 20)
    }
    assert.equal((await read({})).examples, 1)
    await assert.rejects(read({ labels }), { code: 'FILE_OUTSIDE' })
    await assert.rejects(read({ labels: { ...labels, file: 'linked.csv' } }), { code: 'FILE_OUTSIDE' })
    await assert.rejects(read({ folder: 'elsewhere' }), { code: 'FILE_OUTSIDE' })
    await assert.rejects(read({ folder: '..' }), { code: 'FILE_OUTSIDE' })
    await assert.rejects(read({ folder: outside.path }), { code: 'FILE_OUTSIDE' })
  })

  test('any damage is read or refused with a typed error', async () => {
    const jpeg = await fixture('colour.jpg')
    const property = fc.asyncProperty(
      fc.constantFrom(colour, jpeg),
      fc.nat(10_000),
      fc.nat(255),
      async (file, at, byte) => {
        const damaged = Buffer.from(file)
        damaged[at % file.length] = byte
        await readDeclared(declaration, { 'pictures/cat/a.png': damaged }).catch(error =>
          assert.ok(error instanceof DataError, String(error)),
        )
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })
})
