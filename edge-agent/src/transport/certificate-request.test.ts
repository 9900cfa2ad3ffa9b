import 'reflect-metadata'
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { Pkcs10CertificateRequest } from '@peculiar/x509'
import { certificateRequest } from './certificate-request.ts'

test('a request is well-formed to another implementation, for the key that signed it', async () => {
  for (let left = 20; left > 0; left -= 1) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const request = new Pkcs10CertificateRequest(certificateRequest(privateKey))
    assert.equal(await request.verify(), true)
    assert.equal(request.subject, 'O=Tributary')
    const der = publicKey.export({ type: 'spki', format: 'der' })
    assert.ok(der.equals(Buffer.from(request.publicKey.rawData)))
    assert.equal(request.attributes.length, 0)
  }
})

test('a request that was changed on the way does not verify', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = Buffer.from(certificateRequest(privateKey).replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64')
  const at = der.indexOf('Tributary')
  der[at] = 'A'.charCodeAt(0)
  assert.equal(await new Pkcs10CertificateRequest(der).verify(), false)
})
