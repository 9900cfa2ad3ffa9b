import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitsTarget, type Target, targetCovers, targetsOverlap } from './deployment-target.ts'

const target = (fields: Partial<Target> = {}): Target => ({ regions: [], groups: [], labels: {}, ...fields })
const device = (region: string, groups: string[] = [], labels: Record<string, string> = {}) => ({
  region,
  groups,
  labels,
})

test('a device fits where every line fits', () => {
  const wanted = target({ regions: ['north', 'south'], groups: ['a', 'b'], labels: { site: 'x' } })
  assert.ok(fitsTarget(wanted, device('south', ['c', 'b'], { site: 'x', more: 'y' })))
  assert.ok(!fitsTarget(wanted, device('west', ['b'], { site: 'x' })))
  assert.ok(!fitsTarget(wanted, device('south', ['c'], { site: 'x' })))
  assert.ok(!fitsTarget(wanted, device('south', ['b'], { site: 'y' })))
  assert.ok(!fitsTarget(wanted, device('south', ['b'])))
  assert.ok(fitsTarget(target(), device('anywhere')))
  assert.ok(!fitsTarget(target({ labels: { constructor: 'x' } }), device('south')))
})

/** All targets and devices of a small world, to hold the two relations against their meaning. */
const lists = (names: readonly string[]) => [[], [names[0] ?? ''], [names[1] ?? ''], [...names]]
const labelings: Record<string, string>[] = [{}, { k: '1' }, { k: '2' }, { j: '1' }, { k: '1', j: '1' }]
const targets = lists(['r', 's']).flatMap(regions =>
  lists(['g', 'h']).flatMap(groups => labelings.map(labels => ({ regions, groups, labels }))),
)
const devices = ['r', 's', 't'].flatMap(region =>
  [[], ['g'], ['h'], ['g', 'h']].flatMap(groups =>
    [...labelings, { k: '2', j: '1' }].map(labels => device(region, groups, labels)),
  ),
)

test('two targets overlap exactly where a device fits both', () => {
  for (const a of targets) {
    for (const b of targets) {
      const both = devices.some(candidate => fitsTarget(a, candidate) && fitsTarget(b, candidate))
      assert.equal(targetsOverlap(a, b), both, JSON.stringify([a, b]))
    }
  }
})

test('a target covers another exactly where whoever fits that one fits it', () => {
  for (const a of targets) {
    for (const b of targets) {
      const all = devices.every(candidate => !fitsTarget(b, candidate) || fitsTarget(a, candidate))
      assert.equal(targetCovers(a, b), all, JSON.stringify([a, b]))
    }
  }
})
