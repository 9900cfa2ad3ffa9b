import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Outbox } from './outbox.ts'

const findings = { examples: 20n, sums: { correct: `${2n ** 60n}`, loss_q20: '-3' }, seconds: 0.5 }

test('what waits outlives the agent until the node has it, and is bounded', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-outbox-'))
  const file = join(folder, 'outbox.json')
  try {
    {
      await using outbox = await Outbox.open(file)
      outbox.addFailure({ token: 'a', code: 'DATASET_UNUSABLE', detail: 'first' })
      outbox.addFailure({ token: 'a', code: 'TRAINING_FAILED', detail: 'second' })
      outbox.addFailure({ token: 'b', code: 'POLICY_REFUSED', detail: '' })
      outbox.addFindings('e', findings)
    }
    {
      await using outbox = await Outbox.open(file)
      assert.deepEqual(
        outbox.failures.map(({ token, detail }) => `${token} ${detail}`),
        ['a first', 'b '],
      )
      assert.deepEqual(outbox.findings('e'), findings)
      outbox.removeFailures(['a', 'unknown'])
      outbox.removeFindings('e')
      for (let index = 0; index < 20; index += 1) {
        outbox.addFailure({ token: `t${index}`, code: 'TRAINING_FAILED', detail: '' })
      }
    }
    await using last = await Outbox.open(file)
    assert.deepEqual(
      last.failures.map(({ token }) => token),
      Array.from({ length: 16 }, (_, index) => `t${index + 4}`),
    )
    assert.equal(last.findings('e'), undefined)
    await writeFile(file, '{"failures": [{}]}')
    await using damaged = await Outbox.open(file)
    assert.deepEqual(damaged.failures, [])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
