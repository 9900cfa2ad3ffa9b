import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTrainingWork, WorkError } from '../agent/job/work.ts'
import { trainingWork } from './federation.ts'
import { hostileChanges } from './hostile-work.ts'

for (const [name, change] of hostileChanges) {
  test(`work is refused before anything is done for it: ${JSON.stringify(name)}`, () => {
    const work = trainingWork()
    change(work)
    assert.throws(() => readTrainingWork(work, 2 ** 26), WorkError)
  })
}
