import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type * as z from 'zod'
import { AttemptRef, attemptKey, DisplayName, ObjectKey, ObjectRef, Sha256, Slug, Uuid } from './ids.ts'

const takes = (schema: z.ZodType, values: readonly unknown[]) => {
  for (const value of values) assert.ok(schema.safeParse(value).success, JSON.stringify(value))
}
const refuses = (schema: z.ZodType, values: readonly unknown[]) => {
  for (const value of values) assert.equal(schema.safeParse(value).success, false, JSON.stringify(value))
}
const uuid = '01900000-0000-7abc-8def-000000000001'

test('an id is a UUID of version 7 in lower case, and nothing around it', () => {
  takes(Uuid, [uuid, '01900000-0000-7000-9000-000000000001', '01900000-0000-7000-a000-000000000001'])
  refuses(Uuid, [
    '',
    uuid.toUpperCase(),
    uuid.replace('7abc', '4abc'),
    uuid.replace('8def', 'cdef'),
    uuid.replaceAll('-', ''),
    `${uuid}\n`,
    ` ${uuid}`,
    `{${uuid}}`,
    7,
    null,
  ])
})

test('a slug is safe in topics, routing keys, object keys and host names', () => {
  takes(Slug, ['a', '0', 'north', 'eu-west-1', 'a'.repeat(63)])
  refuses(Slug, [
    '',
    '-a',
    'a-',
    'A',
    'a_b',
    'a.b',
    'a/b',
    'a b',
    'é',
    '#',
    '+',
    '*',
    'a\n',
    'a\0',
    '..',
    'a'.repeat(64),
  ])
})

test('an object key is a path of safe segments', () => {
  takes(ObjectKey, [
    'a',
    'models/m/base.safetensors',
    'models/m/tasks/t/1-1.safetensors',
    `sums/${uuid}/1-1/north-0-1.participation.jsonl`,
    'a_b/0',
    `${'a/'.repeat(255)}aa`,
  ])
  refuses(ObjectKey, [
    '',
    '.',
    '..',
    '../a',
    'a/..',
    'a/../b',
    'a/./b',
    './a',
    '/a',
    'a/',
    'a//b',
    'a\\b',
    'a\\..\\b',
    'A',
    'a/B.txt',
    '.hidden',
    'a/.hidden',
    'a..b',
    'a.',
    'a b',
    'a%2e%2e',
    'a?b',
    'a#b',
    'a:b',
    'é',
    'a\n',
    'a\0b',
    '-a',
    '_a',
    'a'.repeat(513),
  ])
})

test('a key that passes means the same to a URL and to a file system', () => {
  const segments = fc.stringMatching(/^[a-z0-9._\\%/ A-Z-]{0,12}$/)
  const keys = fc.array(segments, { minLength: 1, maxLength: 5 }).map(parts => parts.join('/'))
  fc.assert(
    fc.property(keys, key => {
      if (!ObjectKey.safeParse(key).success) return
      assert.equal(new URL(key, 'http://bucket/').pathname, `/${key}`)
      assert.ok(key.split('/').every(part => part !== '' && part !== '.' && part !== '..'))
    }),
    { numRuns: 5000 },
  )
})

test('checking a hostile key takes no time', () => {
  const started = performance.now()
  refuses(ObjectKey, [`${'a.a'.repeat(170)}!`, `${'a/'.repeat(250)}!`, `${'a'.repeat(511)}!`])
  assert.ok(performance.now() - started < 1000)
})

test('a sha256 is 64 digits of lower-case hex', () => {
  takes(Sha256, ['0'.repeat(64), 'abcdef'.padEnd(64, '9')])
  refuses(Sha256, ['0'.repeat(63), '0'.repeat(65), 'A'.repeat(64), 'g'.repeat(64), `${'0'.repeat(64)}\n`])
})

test('a name for people is trimmed and not empty', () => {
  assert.equal(DisplayName.parse('  Fraud model '), 'Fraud model')
  takes(DisplayName, ['é', 'x'.repeat(200)])
  refuses(DisplayName, ['', '   ', 'x'.repeat(201)])
})

test('rounds and attempts count from 1, sizes from 0', () => {
  takes(AttemptRef, [{ task: uuid, round: 1, attempt: 1 }])
  refuses(AttemptRef, [
    { task: uuid, round: 0, attempt: 1 },
    { task: uuid, round: 1, attempt: 0 },
    { task: uuid, round: 1.5, attempt: 1 },
    { task: uuid, round: 1, attempt: '1' },
  ])
  refuses(ObjectRef, [{ objectKey: 'a', sha256: '0'.repeat(64), bytes: -1 }])
  assert.equal(attemptKey({ task: uuid, round: 12, attempt: 3 }), `${uuid}/12/3`)
})
