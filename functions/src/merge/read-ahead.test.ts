import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Read, readAhead } from './read-ahead.ts'

const never = new AbortController().signal

test('reads run ahead within the window and come in order', async () => {
  let running = 0
  let most = 0
  const reads: Read<number>[] = Array.from({ length: 20 }, (_, index) => async () => {
    running += 1
    most = Math.max(most, running)
    // Later reads answer first.
    for (let turn = 0; turn < 20 - index; turn += 1) await Promise.resolve()
    running -= 1
    return index
  })
  assert.deepEqual(
    await Array.fromAsync(readAhead(reads, 4, never)),
    Array.from({ length: 20 }, (_, index) => index),
  )
  assert.equal(most, 4)
})

test('a failing read ends it and aborts the others', async () => {
  const aborted: number[] = []
  const hanging =
    (index: number): Read<number> =>
    signal =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          aborted.push(index)
          reject(signal.reason)
        }),
      )
  const reads: Read<number>[] = [
    async () => 0,
    () => Promise.reject(new Error('gone')),
    hanging(2),
    hanging(3),
    hanging(4),
  ]
  const taken: number[] = []
  await assert.rejects(async () => {
    for await (const value of readAhead(reads, 3, never)) taken.push(value)
  }, /gone/)
  assert.deepEqual([taken, aborted], [[0], [2, 3]])
})

test('leaving early aborts what is in flight', async () => {
  const aborted: string[] = []
  const hanging: Read<number> = signal =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        aborted.push('second')
        reject(signal.reason)
      })
    })
  const reads: Read<number>[] = [async () => 0, hanging]
  for await (const value of readAhead(reads, 2, never)) {
    assert.equal(value, 0)
    break
  }
  assert.deepEqual(aborted, ['second'])
})
