import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTextArray, parseTextArray } from './text-array.ts'

test('a text array is read as Postgres writes it', () => {
  assert.deepEqual(parseTextArray('{}'), [])
  assert.deepEqual(parseTextArray('{a,b-1}'), ['a', 'b-1'])
  assert.deepEqual(parseTextArray('{"","b c","d,e","{f}"}'), ['', 'b c', 'd,e', '{f}'])
  assert.deepEqual(parseTextArray(String.raw`{"say \"x\"","back\\slash",NULL,"NULL"}`), [
    'say "x"',
    String.raw`back\slash`,
    null,
    'NULL',
  ])
})

test('a text array is written so that no member is taken for syntax', () => {
  assert.equal(formatTextArray([]), '{}')
  assert.equal(formatTextArray(['a', null, 'NULL']), '{"a",NULL,"NULL"}')
  assert.equal(formatTextArray(['say "x"', String.raw`back\slash`]), String.raw`{"say \"x\"","back\\slash"}`)
})
