import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../testing/manual-clock.ts'
import { DirectoryRefresh } from './directory-refresh.ts'

const create = () => {
  const clock = new ManualClock()
  const reads: number[] = []
  const open: (() => void)[] = []
  const refresh = new DirectoryRefresh(clock, () => {
    reads.push(clock.monotonic())
    return new Promise(resolve => open.push(resolve))
  })
  /** Advances, letting what waits go on at every step. */
  const advance = async (millis: number) => {
    for (let step = 0; step < millis; step += 50) {
      clock.advance(50)
      await new Promise(setImmediate)
    }
  }
  return { clock, reads, open, refresh, advance }
}

test('the first stranger is looked up at once', async () => {
  const { reads, open, refresh } = create()
  const asked = refresh.refreshed(3000)
  await new Promise(setImmediate)
  assert.deepEqual(reads, [0])
  open[0]?.()
  await asked
})

test('ten seconds of strangers cost central five reads, and each is looked up', async () => {
  const { reads, open, refresh, advance } = create()
  const asked: Promise<void>[] = []
  for (let i = 0; i < 200; i += 1) {
    asked.push(refresh.refreshed(60_000))
    await advance(50)
    for (const answer of open.splice(0)) answer()
  }
  await advance(2000)
  for (const answer of open.splice(0)) answer()
  await Promise.all(asked)
  assert.ok(reads.length <= 6, `${reads}`)
  for (const [i, at] of reads.entries()) if (i > 0) assert.ok(at - (reads[i - 1] as number) >= 2000, `${reads}`)
})

test('who comes while the directory is read is told after the read that follows', async () => {
  const { reads, open, refresh, advance } = create()
  const first = refresh.refreshed(3000)
  await new Promise(setImmediate)
  await advance(100)
  let told = false
  const second = refresh.refreshed(5000).then(() => {
    told = true
  })
  open[0]?.()
  await first
  await advance(1800)
  assert.equal(told, false)
  await advance(100)
  assert.deepEqual(reads, [0, 2000])
  open[1]?.()
  await second
})

test('nobody waits longer than asked', async () => {
  const { refresh, advance } = create()
  const asked = refresh.refreshed(3000)
  await advance(3000)
  await asked
})
