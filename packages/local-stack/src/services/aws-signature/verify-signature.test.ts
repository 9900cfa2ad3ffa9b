import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import { SignatureV4 } from '@smithy/signature-v4'
import type { SignatureFault } from './verify-signature.ts'
import { SignatureError, verifySignature } from './verify-signature.ts'

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const now = new Date('2026-03-01T12:00:00Z')

class Sha256 {
  readonly #hash: { update(data: Uint8Array | string): unknown; digest(): Buffer }
  constructor(secret?: string | Uint8Array | ArrayBuffer) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as Buffer)
  }
  update(data: Uint8Array | string): void {
    this.#hash.update(data)
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }
  reset(): void {}
}

const signer = (service: string) =>
  new SignatureV4({ credentials, region: 'local', service, sha256: Sha256 as never, uriEscapePath: service !== 's3' })

const asked = {
  method: 'GET',
  protocol: 'http:',
  hostname: 'localhost',
  port: 9000,
  path: '/bucket/a%20b%2Bc%27',
  query: { 'x-id': 'GetObject', empty: '' },
}
const base = (service: string) => ({
  ...asked,
  headers: { host: 'localhost:9000', ...(service === 's3' ? { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } : {}) },
})
const url = (query: Record<string, unknown> = asked.query) =>
  `${asked.path}?${Object.entries(query)
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`)
    .join('&')}`

const refusal = (code: SignatureFault) => (error: unknown) => error instanceof SignatureError && error.code === code

test('accepts what the SDK signs in headers, and nothing that was changed afterwards', async () => {
  const signed = await signer('s3').sign(base('s3'), { signingDate: now })
  const request = { method: 'GET', url: url(), headers: signed.headers }
  const options = { credentials, service: 's3', now }
  assert.deepEqual(verifySignature(request, options), { payloadHash: 'UNSIGNED-PAYLOAD' })
  const wrong = refusal('SignatureDoesNotMatch')
  assert.throws(() => verifySignature({ ...request, method: 'DELETE' }, options), wrong)
  assert.throws(() => verifySignature({ ...request, url: url({ ...asked.query, versionId: '1' }) }, options), wrong)
  assert.throws(() => verifySignature({ ...request, url: `/other${url()}` }, options), wrong)
  assert.throws(() => verifySignature({ ...request, headers: { ...signed.headers, host: 'evil' } }, options), wrong)
  const added = { ...signed.headers, 'x-amz-copy-source': '/other/key' }
  assert.throws(() => verifySignature({ ...request, headers: added }, options), refusal('AccessDenied'))
  const late = { ...options, now: new Date(now.getTime() + 16 * 60_000) }
  assert.throws(() => verifySignature(request, late), refusal('RequestTimeTooSkewed'))
  const otherKey = { ...options, credentials: { ...credentials, secretAccessKey: 'other' } }
  assert.throws(() => verifySignature(request, otherKey), wrong)
  const otherId = { ...options, credentials: { ...credentials, accessKeyId: 'other' } }
  assert.throws(() => verifySignature(request, otherId), refusal('InvalidAccessKeyId'))
  assert.throws(
    () => verifySignature({ ...request, headers: { host: 'localhost:9000' } }, options),
    refusal('AccessDenied'),
  )
})

test('accepts what the SDK presigns until it expires', async () => {
  const signed = await signer('s3').presign(
    { ...asked, headers: { host: 'localhost:9000' } },
    { signingDate: now, expiresIn: 60 },
  )
  const request = {
    method: 'GET',
    url: url(signed.query as Record<string, unknown>),
    headers: { host: 'localhost:9000' },
  }
  const at = (seconds: number) => ({ credentials, service: 's3', now: new Date(now.getTime() + seconds * 1000) })
  assert.throws(() => verifySignature(request, at(61)), /expired/)
  const longer = { ...request, url: request.url.replace('X-Amz-Expires=60', 'X-Amz-Expires=600') }
  assert.throws(() => verifySignature(longer, at(61)), refusal('SignatureDoesNotMatch'))
})

test('hostile headers and URLs are refused by name, never with a crash', () => {
  const options = { credentials, service: 's3', now }
  for (const authorization of [
    '',
    'Basic x',
    'AWS4-HMAC-SHA256',
    'AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0',
  ]) {
    const request = { method: 'GET', url: '/', headers: { host: 'h', authorization, 'x-amz-content-sha256': 'x' } }
    assert.throws(() => verifySignature(request, options), SignatureError)
  }
  for (const hostile of ['/%', '/%ff', '/?X-Amz-Signature=x', '/?X-Amz-Signature=x&X-Amz-Signature=y', '/?a=%zz']) {
    assert.throws(
      () => verifySignature({ method: 'GET', url: hostile, headers: { host: 'h' } }, options),
      SignatureError,
    )
  }
})
