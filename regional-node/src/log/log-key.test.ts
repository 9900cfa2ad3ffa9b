import assert from 'node:assert/strict'
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { fileCipher, freshSalt, LogKey } from './log-key.ts'

const raw = randomBytes(32)
const key = new LogKey(raw)
const header = Buffer.from('header')

test('a record opens by the same key, header and log only', () => {
  const records = key.records('a')
  const sealed = records.seal(Buffer.from('secret'), header)
  assert.equal(`${records.open(sealed, header)}`, 'secret')
  assert.equal(sealed.includes('secret'), false)
  const foreign = /sealed by another key/
  assert.throws(() => records.open(sealed, Buffer.from('Header')), foreign)
  assert.throws(() => key.records('b').open(sealed, header), foreign)
  assert.throws(() => new LogKey(randomBytes(32)).records('a').open(sealed, header), foreign)
  assert.throws(() => records.open(sealed.subarray(0, 27), header), /not sealed/)
  for (let at = 0; at < sealed.byteLength; at += 1) {
    const altered = Buffer.from(sealed)
    altered[at] = (altered[at] as number) ^ 1
    assert.throws(() => records.open(altered, header), foreign, `byte ${at}`)
  }
})

test('the same record sealed 2000 times has 2000 nonces', () => {
  const records = key.records('a')
  const nonces = Array.from({ length: 2000 }, () =>
    records.seal(Buffer.alloc(1), header).subarray(0, 12).toString('hex'),
  )
  assert.equal(new Set(nonces).size, 2000)
})

test('a file is sealed by AES-256-CTR under a key by HKDF of its salt, from any offset on', () => {
  const salt = freshSalt()
  const plain = randomBytes(500)
  const fileKey = Buffer.from(hkdfSync('sha256', raw, salt, 'tributary file', 32))
  const sealed = createCipheriv('aes-256-ctr', fileKey, Buffer.alloc(16)).update(plain)
  fc.assert(
    fc.property(fc.nat(499), fc.nat(499), (start, length) => {
      const part = fileCipher(key.file(salt), start)(sealed.subarray(start, start + length))
      assert.ok(part.equals(plain.subarray(start, start + length)))
    }),
  )
})

test('the counter of a file carries over all of its 16 bytes', () => {
  const seal = { key: randomBytes(32), iv: Buffer.alloc(16, 0xff) }
  const whole = fileCipher(seal, 0)(Buffer.alloc(64))
  assert.ok(fileCipher(seal, 40)(Buffer.alloc(24)).equals(whole.subarray(40)))
})

test('a key of another length is refused', () => {
  assert.throws(() => LogKey.parse(''), RangeError)
  assert.throws(() => LogKey.parse(Buffer.alloc(31).toString('base64')), RangeError)
})
