import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import * as z from 'zod'
import { decodeCursor, encodeCursor, pageOf } from './cursor.ts'

test('gives a cursor only where more rows follow', () => {
  const parts = { item: (n: number) => n * 10, position: (n: number) => n }
  assert.deepEqual(pageOf([1, 2], 2, parts), { items: [10, 20], next: null })
  assert.deepEqual(pageOf([1, 2, 3], 2, parts), { items: [10, 20], next: encodeCursor(2) })
  assert.deepEqual(pageOf([], 2, parts), { items: [], next: null })
})

test('reads its own cursors and refuses all others as a wrong query', () => {
  assert.equal(decodeCursor(encodeCursor(7), z.int()), 7)
  assert.equal(decodeCursor(undefined, z.int()), null)
  for (const wrong of ['', 'x', encodeCursor('7'), encodeCursor({ $ne: 1 })]) {
    assert.throws(
      () => decodeCursor(wrong, z.int()),
      (error: unknown) => error instanceof TributaryError && error.code === 'QUERY_INVALID',
    )
  }
})
