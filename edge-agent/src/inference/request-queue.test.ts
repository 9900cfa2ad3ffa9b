import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InferenceError } from './inference-error.ts'
import { type QueuedRequest, RequestQueue } from './request-queue.ts'

const request = (rows: number, likeness = 'a'): QueuedRequest => ({
  inputs: [],
  outputs: [],
  rows,
  likeness,
  enqueuedAt: rows,
  settle: () => {},
})

const rowsOf = (taken: readonly QueuedRequest[]): number[] => taken.map(({ rows }) => rows)

test('requests alike are taken together up to so many rows, in their order', () => {
  const queue = new RequestQueue(10)
  for (const rows of [2, 3, 4, 1]) queue.add(request(rows))
  assert.equal(queue.nextRows(6), 6)
  // 2 + 3 fit, 4 does not any more, 1 does.
  assert.deepEqual(rowsOf(queue.take(6)), [2, 3, 1])
  assert.deepEqual(rowsOf(queue.take(6)), [4])
  assert.deepEqual(queue.take(6), [])
})

test('what differs in shape or outputs waits for a run of its own, and keeps its place', () => {
  const queue = new RequestQueue(10)
  queue.add(request(1, 'a'))
  queue.add(request(5, 'b'))
  queue.add(request(2, 'a'))
  assert.deepEqual(rowsOf(queue.take(16)), [1, 2])
  assert.deepEqual(rowsOf(queue.take(16)), [5])
})

test('a request larger than any batch is taken alone, and so is one that cannot be joined', () => {
  const queue = new RequestQueue(10)
  queue.add(request(40))
  queue.add(request(1))
  queue.add(request(0))
  queue.add(request(0))
  assert.deepEqual(rowsOf(queue.take(16)), [40])
  assert.deepEqual(rowsOf(queue.take(16)), [1])
  assert.deepEqual(rowsOf(queue.take(16)), [0])
})

test('no more wait than may, and who gave up makes room', () => {
  const queue = new RequestQueue(2)
  const first = request(1)
  queue.add(first)
  queue.add(request(2))
  assert.throws(
    () => queue.add(request(3)),
    (error: unknown) =>
      error instanceof InferenceError && error.code === 'BUSY' && error.status === 503 && error.retryAfterSeconds === 1,
  )
  queue.remove(first)
  queue.add(request(3))
  assert.equal(queue.oldest, 2)
})
