import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { type Verdict, VerdictCode, VerdictSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { actionFor } from './verdict.ts'

const act = (code: number, fields: Partial<Omit<Verdict, '$typeName'>> = {}) =>
  actionFor(create(VerdictSchema, { ...fields, code: code as VerdictCode }))

suite('what follows from a verdict', () => {
  test('accepted updates are kept with their receipt, also when they were known already', () => {
    for (const code of [VerdictCode.ACCEPTED, VerdictCode.ALREADY]) {
      assert.deepEqual(act(code, { receipt: 'a.b.c' }), { kind: 'keep', receipt: 'a.b.c' })
    }
  })

  test('what nobody waits for is dropped quietly', () => {
    for (const code of [VerdictCode.LATE, VerdictCode.CANCELLED, VerdictCode.WRONG_ATTEMPT, VerdictCode.WRONG_BASE]) {
      const action = act(code)
      assert.ok(action.kind === 'drop' && !action.fault)
    }
  })

  test('what is wrong with the update itself is dropped aloud, with tensor and code', () => {
    const invalid = { errorCode: 'NOT_FINITE', tensor: 'conv1.weight', detail: 'holds NaN' }
    assert.deepEqual(act(VerdictCode.INVALID, invalid), {
      kind: 'drop',
      fault: true,
      reason: 'INVALID: NOT_FINITE: tensor "conv1.weight": holds NaN',
    })
    for (const code of [VerdictCode.CONFLICT, VerdictCode.TOO_BIG, VerdictCode.UPGRADE]) {
      const action = act(code)
      assert.ok(action.kind === 'drop' && action.fault)
    }
  })

  test('a wait is bounded on both sides', () => {
    assert.deepEqual(act(VerdictCode.RETRY_AFTER, { retryAfterMillis: 500 }), { kind: 'retry', afterMillis: 500 })
    assert.deepEqual(act(VerdictCode.RETRY_AFTER, { retryAfterMillis: 0 }), { kind: 'retry', afterMillis: 100 })
    assert.deepEqual(act(VerdictCode.RETRY_AFTER, { retryAfterMillis: 2 ** 32 - 1 }), {
      kind: 'retry',
      afterMillis: 60_000,
    })
  })

  test('a moved shard names its node', () => {
    assert.deepEqual(act(VerdictCode.WRONG_SHARD, { endpoint: 'b:1' }), { kind: 'redirect', endpoint: 'b:1' })
  })

  test('a stale token or epoch brings a check-in, and the bytes stay', () => {
    for (const code of [VerdictCode.WRONG_EPOCH, VerdictCode.UNAUTHORISED]) assert.equal(act(code).kind, 'check-in')
  })

  test('no verdict and verdicts of a later version change nothing on disk', () => {
    assert.equal(actionFor(undefined).kind, 'check-in')
    assert.equal(act(VerdictCode.UNSPECIFIED).kind, 'check-in')
    assert.equal(act(99).kind, 'check-in')
  })
})
