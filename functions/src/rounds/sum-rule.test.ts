import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sumRuleOf } from './sum-rule.ts'

const aggregation = { rule: 'weighted-mean', weightCap: 2 ** 16, clippingNorm: null, regionalRounds: 1 }

test('the bound is 2^10 without clipping, and the least power of two above 1.001 times the norm with it', () => {
  const rule = {
    weighting: 'examples',
    weightCap: 65_536,
    maxUpdates: 4,
    bound: 1024,
    bufferBound: 1024,
    clippingNorm: null,
  }
  assert.deepEqual(sumRuleOf({ aggregation }, 4), rule)
  assert.equal(sumRuleOf({ aggregation: { ...aggregation, clippingNorm: 1 } }, 4).bound, 2)
  assert.equal(sumRuleOf({ aggregation: { ...aggregation, rule: 'mean' } }, 4).weighting, 'uniform')
})

test('what is no sum, unknown, or leaves no room for an exact sum is refused', () => {
  const refused =
    (fields: object, updates = 4) =>
    () =>
      sumRuleOf({ aggregation: { ...aggregation, ...fields } }, updates)
  assert.throws(refused({ rule: 'krum' }), { code: 'RULE_NOT_DECOMPOSABLE' })
  assert.throws(refused({ rule: '__proto__' }), { code: 'RULE_UNKNOWN' })
  assert.throws(refused({}, 2 ** 31 + 1), { code: 'SUM_WOULD_OVERFLOW' })
})
