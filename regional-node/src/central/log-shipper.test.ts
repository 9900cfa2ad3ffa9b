import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogEntry } from '@tributary/contracts/node-status'
import { Journal } from '../journal/journal.ts'
import { createLogger } from '../journal/logger.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { shipJournal } from './log-shipper.ts'

/** Ships what `fill` reports, and returns the batches and the sizes of their bodies. */
const shipped = async (fill: (journal: Journal) => number) => {
  const clock = new ManualClock()
  const journal = new Journal(createLogger('silent', 'test'), clock.now)
  const wanted = fill(journal)
  const batches: LogEntry[][] = []
  const bytes: number[] = []
  const stop = new AbortController()
  const shipping = shipJournal(
    journal,
    async request => {
      batches.push(request.entries)
      bytes.push(Buffer.byteLength(JSON.stringify(request)))
    },
    clock,
    stop.signal,
  )
  while (batches.flat().length < wanted) {
    clock.advance(500)
    await new Promise(setImmediate)
  }
  stop.abort()
  clock.advance(500)
  await shipping
  return { batches, bytes }
}

test('entries that are long on the wire go in several batches, each below the 1 MiB that the route takes', async () => {
  // 2000 characters of three bytes each, 400 times: 2.4 MB.
  const { batches, bytes } = await shipped(journal => {
    for (let i = 0; i < 400; i += 1) journal.report('warn', `${i}`.padEnd(2000, '€'))
    return 400
  })
  assert.equal(batches.length, 3)
  assert.ok(Math.max(...bytes) <= 1024 * 1024, `${bytes}`)
  assert.deepEqual(
    batches.flat().map(({ message }) => Number.parseInt(message, 10)),
    Array.from({ length: 400 }, (_, i) => i),
  )
})

test('short entries go by 500', async () => {
  const { batches } = await shipped(journal => {
    for (let i = 0; i < 1200; i += 1) journal.report('info', 'short')
    return 1200
  })
  assert.deepEqual(
    batches.map(({ length }) => length),
    [500, 500, 200],
  )
})

test('when more waits than is kept, how many went is told first', async () => {
  const { batches } = await shipped(journal => {
    for (let i = 0; i < 5010; i += 1) journal.report('info', `${i}`)
    return 5001
  })
  const all = batches.flat()
  assert.match(`${all[0]?.message}`, /^10 older entries were dropped/)
  assert.equal(all[1]?.message, '10')
})
