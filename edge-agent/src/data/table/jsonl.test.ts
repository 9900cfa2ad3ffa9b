import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { readDeclared } from '../../testing/data-folder.ts'
import { DataError } from '../data-error.ts'

const read = (text: string | Buffer, options: Record<string, unknown> = {}) =>
  readDeclared({ format: 'jsonl', file: 'x.jsonl', label: 'y', ...options }, { 'x.jsonl': text })

suite('data sets in JSON lines', () => {
  test('the keys of the first line are the columns, in any order on the others', async () => {
    const { examples, features, labels } = await read(
      '{"a":1,"y":0,"b":true}\r\n\n{"b":false,"more":{},"y":1,"a":-2e1}',
    )
    assert.equal(examples, 2)
    assert.deepEqual(features, Float32Array.of(1, 1, -20, 0))
    assert.deepEqual(labels, Int32Array.of(0, 1))
  })

  test('a byte-order mark is skipped, lists are features side by side', async () => {
    const { features } = await read('\ufeff{"y":0,"x":[[1,2],[3,4]],"z":5}\n{"y":0,"x":[[6,7],[8,9]],"z":10}', {
      features: ['z', 'x'],
    })
    assert.deepEqual(features, Float32Array.of(5, 1, 2, 3, 4, 10, 6, 7, 8, 9))
  })

  test('several classes at once are columns of 0 and 1, or a list of names', async () => {
    const columns = await read('{"x":1,"p":0,"q":1}', { label: ['p', 'q'], labelKind: 'multi' })
    assert.deepEqual(columns.labels, Int32Array.of(0, 1))
    const options = { labelKind: 'multi', classes: ['a', 'b', 'c'] }
    const names = await read('{"x":1,"y":["c","a"]}\n{"x":2,"y":[]}', options)
    assert.deepEqual(names.labels, Int32Array.of(1, 0, 1, 0, 0, 0))
    await assert.rejects(read('{"x":1,"y":["d"]}', options), { message: /line 1, column "y": "d" is none of the 3/ })
    await assert.rejects(read('{"x":1,"p":2,"q":1}', { label: ['p', 'q'], labelKind: 'multi' }), {
      message: /column "p": "2" is neither 0 nor 1/,
    })
  })

  test('real labels that happen to be whole are integers to nobody but a class loss', async () => {
    const { labels } = await read('{"x":1,"y":2.5}\n{"x":1,"y":3}', { labelKind: 'real' })
    assert.deepEqual(labels, Float32Array.of(2.5, 3))
  })

  const refused: [string, string, RegExp, Record<string, unknown>?][] = [
    ['an empty file', '', /x\.jsonl is empty/],
    ['what is not JSON', '{"x":1,"y":1}\n{"x":', /line 2: it is not JSON/],
    ['a list', '{"x":1,"y":1}\n[1,2]', /line 2: it is no object/],
    ['a missing key', '{"x":1,"y":1}\n{"y":1}', /line 2, column "x": nothing is there/],
    ['text for a number', '{"x":"1","y":1}', /line 1, column "x": "1" is no number/],
    ['an object for a number', '{"x":{},"y":1}', /line 1, column "x": "an object" is no number/],
    [
      'lists of other lengths',
      '{"x":[1,2],"y":1}\n{"x":[1],"y":1}',
      /line 2, column "x": it has 1 numbers, the first row 2/,
    ],
    [
      'a fraction for a class',
      '{"x":1,"y":0.5}',
      /"0\.5" is no class; they are counted from 0/,
      { labelKind: 'class' },
    ],
    ['a label that is missing', '{"x":1,"y":1}\n{"x":1}', /line 2, column "y": nothing is there/, { features: ['x'] }],
    ['no UTF-8', '\u0000', /is not JSON/],
  ]
  for (const [what, text, message, options] of refused) {
    test(`${what} is refused with its place`, () => assert.rejects(read(text, options), { name: 'DataError', message }))
  }

  test('bytes that are no UTF-8, and a line without end, are refused', async () => {
    await assert.rejects(read(Buffer.from('7b22ff227d', 'hex')), { message: /line 1: the file is not UTF-8/ })
    await assert.rejects(read(`{"x":"${'a'.repeat(2 ** 22)}"}`), { message: /line 1: it has more than 4 million/ })
  })

  test('names such as __proto__ are columns like others, and change nothing', async () => {
    const { features } = await read('{"__proto__":7,"constructor":8,"y":1}')
    assert.deepEqual(features, Float32Array.of(7, 8))
    await assert.rejects(read('{"x":1,"y":1}', { features: ['__proto__'] }), {
      message: /"__proto__": nothing is there/,
    })
    assert.equal(({} as Record<string, unknown>).polluted, undefined)
  })

  test('lists may lie deep in one another, but not without end', async () => {
    const deep = (depth: number) => `{"x":${'['.repeat(depth)}1${']'.repeat(depth)},"y":1}`
    assert.deepEqual((await read(deep(8))).features, Float32Array.of(1))
    await assert.rejects(read(deep(100_000)), { name: 'DataError' })
  })

  test('the first ten faults are listed, all are counted', async () => {
    const text = Array.from({ length: 25 }, (_, row) => `{"x":${row % 2 === 0 ? row : '"?"'},"y":1}`).join('\n')
    await assert.rejects(read(text), ({ message }: Error) => {
      assert.match(message, /^12 rows or fields cannot be used:/)
      assert.match(message, /line 2, column "x"[\s\S]*line 20, column "x"[\s\S]*and 2 more$/)
      return true
    })
  })

  test('any bytes are read or refused with a typed error', async () => {
    const nearly = fc.json().map(json => Buffer.from(`{"x":1,"y":1}\n${json}`))
    const bytes = fc.uint8Array({ maxLength: 60 }).map(content => Buffer.from(content))
    await fc.assert(
      fc.asyncProperty(fc.oneof(nearly, bytes), content =>
        read(content).then(
          () => {},
          error => assert.ok(error instanceof DataError, String(error)),
        ),
      ),
    )
  })
})
