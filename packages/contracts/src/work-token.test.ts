import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Receipt, WorkToken } from './work-token.ts'

const id = '01900000-0000-7000-8000-000000000001'
const sha256 = 'a'.repeat(64)
const common = { shard: 0, epoch: 1, device: id, certificateSha256: sha256, objects: [sha256], exp: 1_770_000_000 }
const training = { work: 'training', task: id, round: 1, attempt: 2, base: sha256, maxBytes: 1, ...common }
const evaluation = { work: 'evaluation', evaluation: id, ...common }

test('a token is for training or for evaluation, and reads as it was written', () => {
  assert.deepEqual(WorkToken.parse(JSON.parse(JSON.stringify(training))), training)
  assert.deepEqual(WorkToken.parse(evaluation), evaluation)
})

test('a token that lacks anything, or claims too much, is none', () => {
  for (const field of Object.keys(training)) {
    assert.equal(WorkToken.safeParse({ ...training, [field]: undefined }).success, false, field)
  }
  const wrong = [
    { ...evaluation, work: 'training' },
    { ...training, work: 'both' },
    { ...training, maxBytes: 0 },
    { ...training, epoch: 0 },
    { ...training, shard: -1 },
    { ...training, exp: 1.5 },
    { ...training, objects: Array.from({ length: 9 }, () => sha256) },
    null,
    'token',
  ]
  for (const token of wrong) assert.equal(WorkToken.safeParse(token).success, false)
})

test('a receipt names what was promised, and by whom', () => {
  const receipt = {
    ...{ task: id, round: 1, attempt: 1, region: 'north', shard: 0, epoch: 3, node: id, device: id },
    ...{ sha256, weight: 0, iat: 1_770_000_000 },
  }
  assert.deepEqual(Receipt.parse(receipt), receipt)
  for (const field of Object.keys(receipt)) {
    assert.equal(Receipt.safeParse({ ...receipt, [field]: undefined }).success, false, field)
  }
  assert.equal(Receipt.safeParse({ ...receipt, weight: -1 }).success, false)
})
