import assert from 'node:assert/strict'
import { createSecretKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { CompactSign, compactVerify, jwtVerify, SignJWT } from 'jose'
import { Es256Jws, HmacJws } from './compact-jws.ts'

const key = createSecretKey(Buffer.alloc(32, 3))
const jws = new HmacJws(key, 'sample+jwt')
const claims = { device: 'é', number: 7 }

test('what is signed here verifies by jose, and the other way round', async () => {
  const { payload, protectedHeader } = await jwtVerify(jws.sign(claims), key, {
    algorithms: ['HS256'],
    typ: 'sample+jwt',
  })
  assert.deepEqual([payload, protectedHeader], [claims, { alg: 'HS256', typ: 'sample+jwt' }])
  const theirs = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'sample+jwt' }).sign(key)
  assert.deepEqual(jws.verify(theirs), claims)
})

test('every ES256 signature verifies by jose with the header that was given, however short its numbers are', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const es256 = new Es256Jws(privateKey, { typ: 'receipt', kid: 'node' })
  // In one of 128 signatures r or s begins with a byte that is zero.
  for (let number = 0; number < 1000; number += 1) {
    const text = es256.sign({ ...claims, number })
    const { payload, protectedHeader } = await compactVerify(text, publicKey, { algorithms: ['ES256'] })
    assert.deepEqual(JSON.parse(new TextDecoder().decode(payload)), { ...claims, number })
    assert.deepEqual(protectedHeader, { alg: 'ES256', typ: 'receipt', kid: 'node' })
  }
})

test('another key, header, payload or signature verifies nothing', async () => {
  const text = jws.sign(claims)
  const [header = '', payload = '', signature = ''] = text.split('.')
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const sign = (protectedHeader: { alg: string; typ?: string }, secret = key) =>
    new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader(protectedHeader).sign(secret)
  const wrong = [
    '',
    '..',
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${text}.`,
    `${header}.${payload}.${signature.slice(1)}`,
    `${header}.${part({ ...claims, number: 8 })}.${signature}`,
    `${part({ alg: 'none', typ: 'sample+jwt' })}.${payload}.`,
    await sign({ alg: 'HS256' }),
    await sign({ alg: 'HS256', typ: 'other+jwt' }),
    await sign({ alg: 'HS256', typ: 'sample+jwt' }, createSecretKey(Buffer.alloc(32, 4))),
    await sign({ alg: 'HS512', typ: 'sample+jwt' }, createSecretKey(Buffer.alloc(64, 3))),
  ]
  for (const candidate of wrong) assert.equal(jws.verify(candidate), null, candidate)
})
