import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitsPattern } from './name-pattern.ts'

test('a star stands for any characters, none among them', () => {
  const cases: [string, string, boolean][] = [
    ['a', 'a', true],
    ['a', 'ab', false],
    ['*', '', true],
    ['a*', 'a', true],
    ['*a', 'ba', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'acb', false],
    ['*b*', 'abc', true],
    ['a.c', 'abc', false],
  ]
  for (const [pattern, name, expected] of cases)
    assert.equal(fitsPattern(pattern, name), expected, `${pattern} ${name}`)
})
