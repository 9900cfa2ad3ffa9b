import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { suite, test } from 'node:test'
import { CompactSign } from 'jose'
import { TestAuthority } from '../testing/certificates.ts'
import { attempt, device } from '../testing/federation.ts'
import { verifyReceipt } from './receipt.ts'

const nodeId = '0190b5a0-0000-7000-8000-0000000000aa'
const sha256 = 'cd'.repeat(32)
const claims = {
  ...attempt,
  region: 'north',
  shard: 0,
  epoch: 1,
  node: nodeId,
  device,
  sha256,
  weight: 20,
  iat: 1_700_000_000,
}

suite('receipts', async () => {
  const authority = await TestAuthority.create()
  const node = await authority.issue(nodeId, 'regional-node')
  const certificate = new X509Certificate(node.certificate).raw
  const sign = (payload: object, key = node.key) =>
    new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ES256' })
      .sign(createPrivateKey(key))

  test('hold when the node signed them for this update of this device', async () => {
    await verifyReceipt(await sign(claims), certificate, device, { attempt, sha256 })
  })

  test('do not hold for another body, attempt or device', async () => {
    for (const other of [{ sha256: 'ee'.repeat(32) }, { round: 2 }, { attempt: 2 }, { device: nodeId }]) {
      const receipt = await sign({ ...claims, ...other })
      await assert.rejects(verifyReceipt(receipt, certificate, device, { attempt, sha256 }), /about another update/)
    }
  })

  test('do not hold when somebody else signed them, or nobody', async () => {
    const stranger = await authority.issue(device, 'device')
    const [, payload] = (await sign(claims)).split('.')
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
    for (const receipt of [await sign(claims, stranger.key), unsigned, '', 'a.b.c', await sign({})]) {
      await assert.rejects(verifyReceipt(receipt, certificate, device, { attempt, sha256 }), /not signed by the node/)
    }
  })
})
