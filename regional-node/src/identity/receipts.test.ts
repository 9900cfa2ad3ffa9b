import assert from 'node:assert/strict'
import { test } from 'node:test'
import { v7 as uuidv7 } from 'uuid'
import { TestAuthority } from '../testing/test-identity.ts'
import type { NodeIdentity } from './node-identity.ts'
import { type ProvenPart, Receipts } from './receipts.ts'

const opened = Date.parse('2026-01-01T00:00:00Z')
const now = opened + 30_000
const part: ProvenPart = {
  task: uuidv7(),
  round: 3,
  attempt: 2,
  region: 'north',
  shard: 5,
  epoch: 8,
  device: uuidv7(),
  openedAt: opened,
}
const authority = await TestAuthority.open()
const giver = await authority.node(uuidv7())
const holder = new Receipts(await authority.node(uuidv7()))

const signReceipt = (identity: NodeIdentity, fields: object): string => new Receipts(identity).sign(fields as never)

const receipt = (fields: object = {}) => {
  const { openedAt: _, ...place } = part
  const iat = opened / 1000 + 10
  return { ...place, epoch: 7, node: giver.id, sha256: 'a'.repeat(64), weight: 4, iat, ...fields }
}

test('a receipt of an earlier epoch proves the part of its device, whichever node of the federation gave it', async () => {
  const own = await authority.node(uuidv7())
  assert.equal(await holder.prove([signReceipt(giver, receipt())], part, now), true)
  assert.equal(await holder.prove([signReceipt(giver, receipt({ epoch: 1 }))], part, now), true)
  assert.equal(await new Receipts(own).prove([signReceipt(own, receipt({ node: own.id }))], part, now), true)
  const other = signReceipt(giver, receipt({ round: 2 }))
  assert.equal(await holder.prove(['', other, signReceipt(giver, receipt())], part, now), true)
  assert.equal(await holder.prove([], part, now), false)
})

const elsewhere: [string, object][] = [
  ['another device', { device: uuidv7() }],
  ['another task', { task: uuidv7() }],
  ['another round', { round: 2 }],
  ['another attempt', { attempt: 1 }],
  ['another region', { region: 'south' }],
  ['another shard', { shard: 4 }],
  ['this epoch', { epoch: 8 }],
  ['a time before the attempt', { iat: opened / 1000 - 61 }],
  ['a time to come', { iat: now / 1000 + 61 }],
  ['another node than signed it', { node: uuidv7() }],
]
for (const [what, fields] of elsewhere) {
  test(`a receipt of ${what} proves nothing`, async () => {
    assert.equal(await holder.prove([signReceipt(giver, receipt(fields))], part, now), false)
  })
}

test('what no node of this federation signed proves nothing', async () => {
  const id = giver.id
  const stranger = await (await TestAuthority.open()).node(id)
  const device = await authority.node(id, { unit: 'device' })
  const expired = await authority.node(id, { until: opened - 1000 })
  const early = await authority.node(id, { from: opened + 3_600_000 })
  for (const identity of [stranger, device, expired, early]) {
    assert.equal(await holder.prove([signReceipt(identity, receipt())], part, now), false)
  }
  const stolen = signReceipt({ ...stranger, certificate: giver.certificate }, receipt())
  assert.equal(await holder.prove([stolen], part, now), false, "another node's certificate over one's own key")
})

test('what is no receipt proves nothing, and costs nothing', async () => {
  const good = signReceipt(giver, receipt())
  const [head = '', payload = '', signature = ''] = good.split('.')
  const changed = Buffer.from(JSON.stringify(receipt({ weight: 5 }))).toString('base64url')
  const header = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url')
  const leaf = giver.certificate.raw.toString('base64')
  const forged = [
    `${head}.${changed}.${signature}`,
    `${head}.${payload}.`,
    `${head}.${payload}`,
    `${header({ alg: 'none', typ: 'tributary-receipt+jws', x5c: [leaf] })}.${payload}.`,
    `${header({ alg: 'ES256', typ: 'tributary-receipt+jws' })}.${payload}.${signature}`,
    `${header({ alg: 'ES256', typ: 'tributary-receipt+jws', x5c: ['AAAA'] })}.${payload}.${signature}`,
    `${header({ alg: 'ES256', typ: 'tributary-receipt+jws', x5c: [leaf, leaf] })}.${payload}.${signature}`,
    '..',
    'x'.repeat(100_000),
  ]
  for (const text of forged) assert.equal(await holder.prove([text], part, now), false, text.slice(0, 100))
  assert.equal(await holder.prove([good], part, now), true)
})
