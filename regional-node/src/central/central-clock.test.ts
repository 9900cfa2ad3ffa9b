import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ManualClock } from '../testing/manual-clock.ts'
import { CentralClock } from './central-clock.ts'

const hour = 3_600_000
const midnight = Date.parse('2026-01-01T00:00:00Z')

suite('the time of central', () => {
  test('is the own time as long as central was not heard', () => {
    assert.equal(new CentralClock(new ManualClock(midnight)).now(), midnight)
  })

  for (const [how, wrong] of [
    ['ahead', hour],
    ['behind', -hour],
  ] as const) {
    test(`is known by a node whose clock is an hour ${how}, within half a round trip`, () => {
      const local = new ManualClock(midnight + wrong)
      const clock = new CentralClock(local)
      local.advance(80)
      // Sent at 0, answered at 80: central read its clock at 40 if both ways are as long, to a millisecond.
      clock.heard(midnight + 40, { sentAt: 0, receivedAt: 80 })
      assert.equal(clock.now(), midnight + 80.5)
      local.advance(1000)
      assert.equal(clock.now(), midnight + 1080.5)
    })
  }

  test('is that of the smallest round trip', () => {
    const local = new ManualClock(midnight)
    const clock = new CentralClock(local)
    clock.heard(midnight + 500, { sentAt: 0, receivedAt: 1000 }, 0)
    clock.heard(midnight + 1300, { sentAt: 1000, receivedAt: 1010 }, 0)
    local.advance(1010)
    assert.equal(clock.now(), midnight + 1305, 'read at 1005')
    clock.heard(midnight + 2100, { sentAt: 1010, receivedAt: 3010 }, 0)
    local.advance(2000)
    assert.equal(clock.now(), midnight + 3305, 'the slow answer of 2010 changes nothing')
  })

  test('follows a slower answer once the clocks may have drifted apart by more than that', () => {
    const local = new ManualClock(midnight)
    const clock = new CentralClock(local)
    clock.heard(midnight, { sentAt: 0, receivedAt: 0 }, 0)
    local.advance(hour)
    // A thousandth of an hour is 3600 ms: an answer that is 500 ms wrong at most is better.
    clock.heard(midnight + hour + 2000, { sentAt: hour - 1000, receivedAt: hour }, 0)
    assert.equal(clock.now(), midnight + hour + 2500)
  })

  test('follows at once where the monotonic clock stood still, as that of a sleeping machine does', () => {
    const local = new ManualClock(midnight)
    const clock = new CentralClock(local)
    clock.heard(midnight, { sentAt: 0, receivedAt: 0 }, 0)
    local.advance(200)
    clock.heard(midnight + hour, { sentAt: 0, receivedAt: 200 }, 0)
    assert.equal(clock.now(), midnight + hour + 100)
  })
})
