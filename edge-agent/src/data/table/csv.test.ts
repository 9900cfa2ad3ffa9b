import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { readDeclared } from '../../testing/data-folder.ts'
import { bufferSource } from '../byte-source.ts'
import { DataError } from '../data-error.ts'
import { countCsvRecords } from './count-csv-records.ts'
import { csvRecords } from './csv.ts'

const sourceOf = (text: string | Buffer) => bufferSource(Buffer.from(text as string), 'x.csv')

const recordsOf = async (text: string | Buffer, separator = ',') => {
  const records: [number, ...string[]][] = []
  for await (const { line, fields } of csvRecords(sourceOf(text), separator)) records.push([line, ...fields])
  return records
}

const read = (text: string | Buffer, options: Record<string, unknown> = {}) =>
  readDeclared({ format: 'csv', file: 'x.csv', label: 'y', ...options }, { 'x.csv': text })

suite('CSV files', () => {
  test('lines end with LF, CRLF or the file, and a byte-order mark and empty lines are skipped', async () => {
    const expected = [
      [1, 'a', 'b'],
      [2, '1', ''],
    ]
    assert.deepEqual(await recordsOf('a,b\n1,'), expected)
    assert.deepEqual(await recordsOf('\ufeffa,b\r\n1,\r\n\r\n'), expected)
    assert.deepEqual(await recordsOf('a;b\n\n2;3', ';'), [
      [1, 'a', 'b'],
      [3, '2', '3'],
    ])
  })

  test('quotes hold separators, line ends and doubled quotes', async () => {
    assert.deepEqual(await recordsOf('"a,b","say ""x""","two\nlines"\nlast,"",\n'), [
      [1, 'a,b', 'say "x"', 'two\nlines'],
      [3, 'last', '', ''],
    ])
  })

  test('what no reader could understand is refused with its line', async () => {
    await assert.rejects(recordsOf('a\n"b'), { code: 'CSV_MALFORMED', message: /line 2: the file ends inside quotes/ })
    await assert.rejects(recordsOf('a\n"b"c'), { message: /line 2: .*after a closing quote/ })
    await assert.rejects(recordsOf('a\nb"c"'), { message: /line 2: .*quote inside a field/ })
    await assert.rejects(recordsOf(Buffer.from('61ff', 'hex')), { message: /line 1: .*not UTF-8/ })
    await assert.rejects(recordsOf(`a\n"${'x'.repeat(2 ** 22 + 1)}"`), { message: /line 2: .*4 million characters/ })
  })

  test('any fields survive being written and read', async () => {
    const table = fc.array(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 2, maxLength: 4 }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(table, async rows => {
        const text = rows.map(row => row.map(field => `"${field.replaceAll('"', '""')}"`).join(',')).join('\r\n')
        const records = await recordsOf(text)
        assert.deepEqual(
          records.map(([, ...fields]) => fields),
          rows.map(row => row.map(field => field.toWellFormed())),
        )
      }),
    )
  })

  test('any bytes are read or refused with a typed error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async bytes => {
        try {
          await read(Buffer.concat([Buffer.from('x,y\n'), bytes]))
        } catch (error) {
          assert.ok(error instanceof DataError, String(error))
        }
      }),
    )
  })
})

suite('data sets in CSV files', () => {
  test('the label is taken out, the other columns are features in their order, scaled', async () => {
    const { examples, features, labels } = await read('a,y,b\n2,1,-4e1\n.5,0,6\n', { scale: 2 })
    assert.equal(examples, 2)
    assert.deepEqual(features, Float32Array.of(1, -20, 0.25, 3))
    assert.deepEqual(labels, Int32Array.of(1, 0))
  })

  test('columns are chosen by name, classes by their place, and labels with fractions stay numbers', async () => {
    const text = 'a,kind,b\n1,dog,2\n3,cat,4\n'
    const chosen = await read(text, { label: 'kind', features: ['b', 'a'], classes: ['cat', 'dog'] })
    assert.deepEqual(chosen.features, Float32Array.of(2, 1, 4, 3))
    assert.deepEqual(chosen.labels, Int32Array.of(1, 0))
    const { labels } = await read('x,y,z\n1,0.5,2\n', { label: ['y', 'z'] })
    assert.deepEqual(labels, Float32Array.of(0.5, 2))
  })

  const refused: [string, string, RegExp, Record<string, unknown>?][] = [
    ['an empty file', '', /x\.csv is empty\. Its first line must name the columns/],
    ['a missing column', 'a,b\n1,2\n', /line 1: the table has no column "y", but "a", "b"/],
    ['another separator', 'a;y\n1;2\n', /no column "y", but "a;y"\. *Is its separator another one than ","/],
    ['a column twice', 'a,y,a\n', /line 1: the table names column "a" twice/],
    ['nothing but the label', 'y\n1\n', /has no column but the label/],
    ['a short line', 'a,y\n1,2\n3\n', /line 3: the table has 1 fields, the first line 2/],
    ['a word', 'a,y\n1,2\nabc,4\n', /line 3, column "a": "abc" is no number.*Write numbers as/],
    ['nothing', 'a,y\n,2\n', /line 2, column "a": nothing is there/],
    ['not a number', 'a,y\nNaN,2\n', /"NaN" is no number/],
    ['a number beyond float32', 'a,y\n1e39,2\n', /"1e39" is no number of float32/],
    ['the name of a class', 'a,y\n1,dog\n', /column "y": "dog" is no number.*declare all classes/],
    ['an unknown class', 'a,y\n1,dog\n', /"dog" is none of the 2 classes/, { classes: ['cat', 'bird'] }],
  ]
  for (const [what, text, message, options] of refused) {
    test(`${what} is refused with its place`, () => assert.rejects(read(text, options), { message }))
  }

  test('values are normalised: scale first, then by range or by mean and deviation', async () => {
    const text = 'a,y,b\n10,0,4\n20,0,8\n'
    const range = await read(text, { scale: 2, normalise: { by: 'range', min: 0, max: 10 } })
    assert.deepEqual(range.features, Float32Array.of(0.5, 0.2, 1, 0.4))
    const moments = await read(text, { normalise: { by: 'moments', mean: [15, 6], deviation: [5, 4] } })
    assert.deepEqual(moments.features, Float32Array.of(-1, -0.5, 1, 0.5))
    await assert.rejects(read(text, { normalise: { by: 'moments', mean: [1, 2, 3], deviation: [1, 1, 1] } }), {
      message: /lists 3 values; give one, or 2/,
    })
  })

  test('what is missing is refused, left out or filled in, as declared', async () => {
    const text = 'a,y\n1,0\n?,1\n,0\n4,1\n'
    await assert.rejects(read(text), { message: /2 rows or fields[\s\S]*line 3, column "a"[\s\S]*line 4, column "a"/ })
    const missingValues = ['', '?']
    const skipped = await read(text, { missing: 'skip', missingValues })
    assert.deepEqual([skipped.features, skipped.labels], [Float32Array.of(1, 4), Int32Array.of(0, 1)])
    const filled = await read(text, { missing: 2.5, missingValues, scale: 2 })
    assert.deepEqual(filled.features, Float32Array.of(0.5, 1.25, 1.25, 2))
  })

  test('counting finds the records that reading finds', async () => {
    const cell = fc.constantFrom('a', '"b"', '"c\n\r\nd"', '"e""f"', '')
    const lineEnd = fc.constantFrom('\n', '\r\n', '\n\n')
    const text = fc.array(fc.tuple(fc.array(cell, { minLength: 2, maxLength: 3 }), lineEnd), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(text, fc.boolean(), async (rows, mark) => {
        const file = (mark ? '\ufeff' : '') + rows.map(([cells, end]) => cells.join(',') + end).join('')
        assert.equal(await countCsvRecords(sourceOf(file)), (await recordsOf(file)).length)
      }),
    )
  })
})
