import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Framework } from '@tributary/contracts/round'
import { inFrameworkOf } from './in-framework-of.ts'

const having = (...installed: string[]) => ({
  has: (framework: string, name: string) => installed.includes(`${framework} ${name}`),
})
const job = (framework: Framework, otherFrameworks?: Framework[]) => ({
  trainer: { framework, trainer: 'digits', ...(otherFrameworks && { otherFrameworks }) },
})
const everywhere = job('pytorch', ['keras', 'onnx'])

test('a device trains in the first framework of the task that it has the named trainer of', () => {
  const chosen = (...installed: string[]) => inFrameworkOf(having(...installed), everywhere).trainer
  assert.deepEqual(chosen('pytorch digits', 'keras digits'), { framework: 'pytorch', trainer: 'digits' })
  assert.deepEqual(chosen('keras digits'), { framework: 'keras', trainer: 'digits' })
  assert.deepEqual(chosen('keras digits', 'pytorch letters'), { framework: 'keras', trainer: 'digits' })
})

test("a device without any of the trainers takes the agent's own, which has no name, where the task allows it", () => {
  assert.deepEqual(inFrameworkOf(having(), everywhere).trainer, { framework: 'onnx' })
  assert.deepEqual(inFrameworkOf(having('pytorch digits'), job('onnx', ['pytorch'])).trainer, { framework: 'onnx' })
  const python = inFrameworkOf(having('sklearn digits'), job('pytorch', ['keras']))
  assert.deepEqual(python.trainer, { framework: 'pytorch', trainer: 'digits' })
})

test('a task of one framework stays as it is', () => {
  assert.deepEqual(inFrameworkOf(having('keras digits'), job('pytorch')), job('pytorch'))
})
