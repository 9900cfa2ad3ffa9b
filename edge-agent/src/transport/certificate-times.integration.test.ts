import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createServer } from 'node:tls'
import { TestAuthority } from '../testing/certificates.ts'
import { identityOf } from '../testing/federation.ts'
import { certificateTimeFault, explainTimes, isAboutTime, spanOf } from './certificate-times.ts'
import { checkNodeHealth } from './node-health.ts'

const day = 86_400_000

test('a clock that is off by three days is told with both times, in either direction', async () => {
  const authority = await TestAuthority.create()
  const { certificate } = await authority.issue('one', 'device')
  const pem = Buffer.from(certificate)
  const error = new Error('check-in failed', { cause: new Error('14 UNAVAILABLE: certificate has expired') })
  const [behind, ahead] = [-3, 3].map(days => new Date(Date.now() + days * day))
  assert.match(
    explainTimes(error, pem, behind as Date) ?? '',
    new RegExp(`clock of this device says ${behind?.toISOString()}, 2 days 23 h before .* becomes good \\(\\d{4}-`),
  )
  assert.match(
    explainTimes(error, pem, ahead as Date) ?? '',
    new RegExp(`clock of this device says ${ahead?.toISOString()}, 2 days 23 h after .* ended \\(\\d{4}-`),
  )
  assert.match(explainTimes(error, pem, new Date()) ?? '', /own certificate is good .* the other side's is not/)
  // A node that refuses an old certificate only closes the connection.
  assert.match(explainTimes(new Error('ECONNRESET'), pem, ahead as Date) ?? '', /ended/)
  assert.equal(explainTimes(new Error('ECONNREFUSED'), pem, new Date()), undefined)
})

test('what OpenSSL, alerts and central say of time is known as such', () => {
  const coded = Object.assign(new Error('x'), { code: 'CERT_NOT_YET_VALID' })
  for (const error of [coded, new Error('a', { cause: coded }), new Error('sslv3 alert certificate expired')]) {
    assert.equal(isAboutTime(error), true)
  }
  for (const error of [undefined, new Error('self-signed certificate'), { message: 'certificate has expired' }]) {
    assert.equal(isAboutTime(error), false)
  }
})

test('a node whose certificate begins in three days is an error about time, as gRPC tells it', async () => {
  const authority = await TestAuthority.create()
  const times = { notBefore: new Date(Date.now() + 3 * day), notAfter: new Date(Date.now() + 4 * day) }
  const { certificate: cert, key } = await authority.issue('node', 'regional-node', times)
  const server = createServer({ cert, key, ALPNProtocols: ['h2'] }).listen(0, '127.0.0.1')
  try {
    await once(server, 'listening')
    const endpoint = `localhost:${(server.address() as AddressInfo).port}`
    const identity = await identityOf(authority)
    const options = { deadlineMillis: 30_000, signal: AbortSignal.timeout(60_000) }
    await assert.rejects(checkNodeHealth(endpoint, identity, options), (error: Error) => {
      assert.equal(isAboutTime(error), true, error.message)
      assert.match(explainTimes(error, identity.certificate, new Date()) ?? '', /the other side's is not/)
      return true
    })
  } finally {
    server.close()
  }
})

test('a certificate is good from its first instant and before its last', () => {
  const period = { validFromDate: new Date(1000), validToDate: new Date(2000) }
  const fault = (millis: number) => certificateTimeFault(period, new Date(millis), 'it') !== undefined
  assert.deepEqual([999, 1000, 1999, 2000].map(fault), [true, false, false, true])
  assert.deepEqual([1_000, 120_000, 7_200_000, 3 * day + 3_600_000].map(spanOf), ['1 s', '2 min', '2 h', '3 days 1 h'])
})
