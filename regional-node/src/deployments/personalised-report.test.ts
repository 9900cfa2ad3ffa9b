import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { PersonalisedSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { personalisedReport } from './personalised-report.ts'

const read = (fields: MessageInitShape<typeof PersonalisedSchema>) =>
  personalisedReport(create(PersonalisedSchema, fields))

test('what a device says of its fine-tuning goes on as it says it, metrics where there are any', () => {
  assert.equal(personalisedReport(undefined), undefined)
  assert.deepEqual(read({ outcome: 'global' }), { outcome: 'global' })
  assert.deepEqual(read({ outcome: 'failed', code: 'DATASET_UNUSABLE', detail: 'HELD_OUT' }), {
    outcome: 'failed',
    code: 'DATASET_UNUSABLE',
    detail: 'HELD_OUT',
  })
  const numbers = { examples: 40n, lossBefore: 0.5, lossAfter: 0.25 }
  assert.deepEqual(read({ outcome: 'personal', ...numbers, accuracyBefore: 0.5, accuracyAfter: 1 }), {
    outcome: 'personal',
    metrics: { examples: 40, before: { loss: 0.5, accuracy: 0.5 }, after: { loss: 0.25, accuracy: 1 } },
  })
  assert.deepEqual(read({ outcome: 'personal', ...numbers })?.metrics?.after, { loss: 0.25, accuracy: null })
})

test('what no central could take is left out, and the rest of the report stands', () => {
  assert.equal(read({ outcome: 'sideways' }), undefined)
  assert.equal(read({ outcome: 'failed', code: 'X'.repeat(1000) }), undefined)
  assert.equal(read({ outcome: 'personal', examples: 1n, lossBefore: Number.NaN, lossAfter: 1 }), undefined)
  assert.equal(read({ outcome: 'personal', examples: 2n ** 60n, lossBefore: 1, lossAfter: 1 }), undefined)
  assert.equal(read({ outcome: 'failed', detail: 'd'.repeat(10_000) })?.detail?.length, 500)
})
