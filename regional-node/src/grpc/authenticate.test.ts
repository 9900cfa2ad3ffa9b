import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { PeerCertificate } from 'node:tls'
import { openCertificateAuthority } from '@tributary/local-stack/services/certificate-authority'
import { testContext } from '@tributary/local-stack/services/testing'
import { DeviceDirectory } from '../devices/device-directory.ts'
import { sha256Of } from '../testing/sample-round.ts'
import { authenticate } from './authenticate.ts'
import { readPeer } from './peer-identity.ts'

const id = '01900000-0000-7000-8000-000000000001'

test('two certificates of a device are good while it changes from one to the other, and each keeps its own tokens', async () => {
  await using context = await testContext()
  const authority = await openCertificateAuthority(context.folders.state)
  const peer = async (name: string) => {
    const { certificateFile } = await authority.clientCertificate(name, id, 'device')
    const { raw, validTo, subject } = new X509Certificate(await readFile(certificateFile))
    const attributes = Object.fromEntries(subject.split('\n').map(line => line.split('=')))
    return { raw, valid_to: validTo, subject: attributes } as unknown as PeerCertificate
  }
  const [older, newer, stranger] = [await peer('older'), await peer('newer'), await peer('stranger')]
  const directory = new DeviceDirectory(() => {})
  const enter = (sequence: number, certificate: PeerCertificate, previous?: PeerCertificate) =>
    directory.apply({
      shardCount: 1,
      directory: {
        devices: [
          {
            device: id,
            label: 'device-1',
            kind: 'trainer',
            groups: [],
            certificateSha256: sha256Of(certificate.raw),
            ...(previous === undefined ? {} : { previousCertificateSha256: sha256Of(previous.raw) }),
            revoked: false,
            sequence,
          },
        ],
        sequence: sequence + 1,
        complete: true,
      },
    })
  let refreshes = 0
  const refreshDirectory = async () => {
    refreshes += 1
  }
  const ask = (certificate: PeerCertificate, now = Date.now()) =>
    authenticate(readPeer(certificate), { directory, refreshDirectory, now: () => now })
  enter(1, older)
  assert.equal((await ask(older)).certificateSha256, sha256Of(older.raw))
  await assert.rejects(ask(newer), { code: 'FORBIDDEN' })
  enter(2, newer, older)
  assert.equal((await ask(older)).certificateSha256, sha256Of(older.raw))
  assert.equal((await ask(newer)).certificateSha256, sha256Of(newer.raw))
  assert.equal(refreshes, 1)
  await assert.rejects(ask(stranger), { code: 'FORBIDDEN' })
  enter(3, newer)
  await assert.rejects(ask(older), { code: 'FORBIDDEN' })
  await assert.rejects(ask(newer, Date.parse(newer.valid_to) + 1), { code: 'CERTIFICATE_EXPIRED' })
  directory.revoke(id)
  await assert.rejects(ask(newer), { code: 'CERTIFICATE_REVOKED' })
})
