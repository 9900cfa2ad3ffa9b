import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { inDeploymentShare } from './deployment-share.ts'

const deployment = '01890a5d-ac96-774b-bcce-b302099a8057'
const devices = Array.from(
  { length: 20_000 },
  (_, index) => `01890a5d-ac96-774b-bcce-${index.toString(16).padStart(12, '0')}`,
)
const chosen = (share: number, of = deployment) => devices.filter(device => inDeploymentShare(of, device, share))

test('nobody is in a share of 0 and everybody in one of 1', () => {
  assert.equal(chosen(0).length, 0)
  assert.equal(chosen(1).length, devices.length)
})

test('devices are spread evenly over the shares', () => {
  const tenths = Array.from({ length: 11 }, (_, tenth) => chosen(tenth / 10).length)
  const counts = tenths.slice(1).map((count, tenth) => count - (tenths[tenth] ?? 0))
  // Chi-squared with 9 degrees of freedom: above 27.9 once in a thousand.
  const expected = devices.length / 10
  const chiSquared = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  assert.ok(chiSquared < 27.9, `${counts}`)
})

test('a larger share only adds devices', () => {
  let before: ReadonlySet<string> = new Set()
  for (const share of [0.001, 0.01, 0.05, 0.3, 0.31, 0.9, 1]) {
    const now = new Set(chosen(share))
    assert.ok(before.isSubsetOf(now))
    before = now
  }
})

test('another deployment begins with other devices', () => {
  const others = chosen(0.1, '01890a5d-ac96-774b-bcce-b302099a8058')
  const both = new Set(chosen(0.1)).intersection(new Set(others)).size
  // A tenth of a tenth by chance: 200, standard deviation 14.
  assert.ok(both > 130 && both < 270, String(both))
})

test('the place of a device is the first 48 bits of SHA-256 over compact JSON', () => {
  for (const device of devices.slice(0, 50)) {
    const text = JSON.stringify(['tributary.seed/1', 'deployment-share', deployment, device])
    const place = Number.parseInt(createHash('sha256').update(text).digest('hex').slice(0, 12), 16) / 2 ** 48
    assert.equal(inDeploymentShare(deployment, device, place), false)
    assert.equal(inDeploymentShare(deployment, device, place + 2 ** -48), true)
  }
})
