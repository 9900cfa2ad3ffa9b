import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import {
  type CertificateAuthority,
  openCertificateAuthority,
} from '@tributary/local-stack/services/certificate-authority'
import { compactVerify } from 'jose'
import { pino } from 'pino'
import { v7 as uuidv7 } from 'uuid'
import { CentralClient } from '../central/central-client.ts'
import { CentralClock } from '../central/central-clock.ts'
import { ManualClock, until } from '../testing/manual-clock.ts'
import { TestCentral } from '../testing/test-central.ts'
import { certificateOfRequest, nodeCertificate } from '../testing/test-certificates.ts'
import { CertificateKeeper } from './certificate-keeper.ts'
import { certificateRequest } from './certificate-request.ts'
import { latestIdentity } from './latest-identity.ts'
import { type NodeIdentity, readIdentity } from './node-identity.ts'
import { Receipts } from './receipts.ts'

const day = 86_400_000
const id = uuidv7()
const logs = {
  batch: uuidv7(),
  entries: [{ time: new Date().toISOString(), level: 'info' as const, message: 'hello' }],
}

suite("the keeper of the node's certificate", { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let folder: string
  let authority: CertificateAuthority
  let stranger: CertificateAuthority
  let pem: NodeIdentity['pem']
  let identity: NodeIdentity
  const issuedAt = Math.floor(Date.now() / 1000) * 1000
  const term = { from: issuedAt, to: issuedAt + 30 * day }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tributary-keeper-'))
    resources.defer(() => rm(folder, { recursive: true }))
    authority = await openCertificateAuthority(join(folder, 'a'))
    stranger = await openCertificateAuthority(join(folder, 'b'))
    const { certificateFile, keyFile } = await nodeCertificate(authority, id, term)
    pem = {
      certificate: await readFile(certificateFile, 'utf8'),
      key: await readFile(keyFile, 'utf8'),
      authority: authority.certificatePem,
    }
    identity = readIdentity(pem)
  })
  after(() => resources.disposeAsync())

  /** A keeper that runs, with central in reach, on a clock that stands `age` after the certificate's beginning. */
  const keep = async (age: number) => {
    const central = await TestCentral.listen(authority.certificatePem)
    const dataDir = await mkdtemp(join(folder, 'data-'))
    const manual = new ManualClock(issuedAt + age)
    const clock = new CentralClock(manual)
    central.aheadMillis = issuedAt + age - Date.now()
    const client = new CentralClient(central.url, identity, clock)
    const renewed: NodeIdentity[] = []
    const failures: string[] = []
    const keeper = new CertificateKeeper({
      central: client,
      identity,
      dataDir,
      onRenewed: next => {
        renewed.push(next)
        client.useIdentity(next)
      },
      clock,
      logger: pino({ level: 'warn' }, { write: line => failures.push(line) }),
    })
    const stop = new AbortController()
    const ended = keeper.run(stop.signal)
    const advance = (millis: number) => {
      central.aheadMillis += millis
      manual.advance(millis)
    }
    return {
      central,
      client,
      advance,
      renewed,
      failures,
      keeper,
      dataDir,
      [Symbol.asyncDispose]: async () => {
        stop.abort()
        await ended
        await central[Symbol.asyncDispose]()
      },
    }
  }

  test('the next one comes at two thirds of the time, signed for by the old one, with the same key', async () => {
    await using run = await keep(20 * day - 60_000)
    const next = { from: issuedAt + 20 * day, to: issuedAt + 50 * day }
    run.central.certify = csr => certificateOfRequest(authority, id, csr, next)
    await new Promise(setImmediate)
    assert.deepEqual(run.central.signers, [], 'a minute before it is not asked for')
    run.advance(60_000)
    const taken = await until(() => run.renewed[0])
    assert.equal(taken.certificate.validToDate.getTime(), next.to)
    assert.equal(run.keeper.expiresAt, next.to)
    assert.ok(taken.certificate.checkPrivateKey(identity.key))

    await run.client.logs(logs, AbortSignal.timeout(10_000))
    assert.deepEqual(run.central.signers, [identity.certificate.fingerprint256, taken.certificate.fingerprint256])
    // A device that was connected before the renewal checks a receipt by the certificate that it saw, and the other way round.
    const receipt = new Receipts(taken).sign({ node: id } as never)
    const receiptOfBefore = new Receipts(identity).sign({ node: id } as never)
    for (const { certificate } of [identity, taken]) {
      for (const jws of [receipt, receiptOfBefore]) {
        const { payload } = await compactVerify(jws, certificate.publicKey)
        assert.deepEqual(JSON.parse(new TextDecoder().decode(payload)), { node: id })
      }
    }
    // The next start begins with it, until NODE_CERT_FILE holds one that was issued later.
    assert.equal((await latestIdentity(pem, run.dataDir)).certificate.fingerprint256, taken.certificate.fingerprint256)
  })

  test('what is on its way while the next one is used first is signed anew', async () => {
    await using run = await keep(0)
    const next = readIdentity({
      ...pem,
      certificate: await certificateOfRequest(authority, id, certificateRequest(identity.key), term),
    })
    run.central.ended.add(identity.certificate.fingerprint256)
    const status = run.client.logs(logs, AbortSignal.timeout(10_000))
    run.client.useIdentity(next)
    await status
    assert.equal(run.central.signers.at(-1), next.certificate.fingerprint256)
    assert.equal(run.central.logs.length, 1)
  })

  test('a certificate of another authority, node or key is not taken, and central is asked again', async () => {
    await using run = await keep(20 * day - 60_000)
    const other = await nodeCertificate(authority, uuidv7())
    const otherKey = await nodeCertificate(authority, id)
    const answers = [
      (csr: string) => certificateOfRequest(stranger, id, csr),
      (csr: string) => certificateOfRequest(authority, uuidv7(), csr),
      () => readFile(other.certificateFile, 'utf8'),
      () => readFile(otherKey.certificateFile, 'utf8'),
      async () => 'no certificate',
    ]
    let asked = 0
    run.central.certify = csr =>
      (answers[asked++] ?? ((last: string) => certificateOfRequest(authority, id, last)))(csr)
    const kept = async () => readFile(join(run.dataDir, 'certificate.pem'), 'utf8').catch(() => undefined)
    run.advance(60_000)
    for (let refused = 1; refused <= answers.length; refused += 1) {
      await until(() => run.failures.length === refused)
      assert.deepEqual([asked, run.renewed.length, await kept()], [refused, 0, undefined])
      // The longest wait after so many failures; less only by jitter.
      run.advance(Math.min(3_600_000, 30_000 * 2 ** refused))
    }
    await until(() => run.renewed.length > 0)
    assert.equal(await kept(), run.renewed[0]?.pem.certificate)
  })

  test('a kept certificate that is broken or of a key of before is passed over', async () => {
    const dataDir = await mkdtemp(join(folder, 'data-'))
    const older = await nodeCertificate(authority, id, { from: issuedAt, to: issuedAt + 90 * day })
    for (const content of ['', 'not a certificate', await readFile(older.certificateFile, 'utf8')]) {
      await writeFile(join(dataDir, 'certificate.pem'), content)
      const { certificate } = await latestIdentity(pem, dataDir)
      assert.equal(certificate.fingerprint256, new X509Certificate(pem.certificate).fingerprint256)
    }
  })
})
