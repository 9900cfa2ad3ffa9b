import assert from 'node:assert/strict'
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { SignedRequestClaims, signedRequestType } from '@tributary/contracts/signed-request'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import { pino } from 'pino'
import { TestAuthority } from '../testing/certificates.ts'
import { device, identityOf, temporaryFolder } from '../testing/federation.ts'
import { CertificateKeeper } from './certificate-keeper.ts'
import type { Identity } from './identity.ts'

/** The one route of central that the keeper calls; requests are checked as central does. */
class Central implements AsyncDisposable {
  readonly asked: X509Certificate[] = []
  /** What it answers, in turn; after them it signs. */
  readonly answers: { status: number; body: string }[] = []
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async listen(authority: TestAuthority): Promise<Central> {
    const server = createServer()
    const central = new Central(server)
    const answer = async (request: IncomingMessage, response: ServerResponse) => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      const body = Buffer.concat(parts)
      const token = `${request.headers.authorization}`.replace('Bearer ', '')
      const { x5c } = decodeProtectedHeader(token)
      const leaf = new X509Certificate(Buffer.from(x5c?.[0] ?? '', 'base64'))
      const { payload } = await jwtVerify(token, leaf.publicKey, { algorithms: ['ES256'], typ: signedRequestType })
      const { htm, htu, bh, sub } = SignedRequestClaims.parse(payload)
      assert.deepEqual([htm, htu, sub], ['POST', request.url, device])
      assert.equal(bh, createHash('sha256').update(body).digest('base64url'))
      assert.equal(request.url, `/v1/devices/${device}/certificate`)
      central.asked.push(leaf)
      const refusal = central.answers.shift()
      if (refusal !== undefined) return response.writeHead(refusal.status).end(refusal.body)
      const { csr } = JSON.parse(body.toString()) as { csr: string }
      const certificate = await authority.issueFor(csr, device, 'device')
      const registered = {
        id: device,
        certificate,
        authority: authority.certificate,
        expiresAt: new Date().toISOString(),
      }
      return response.writeHead(201).end(JSON.stringify(registered))
    }
    server.on('request', (request, response) => void answer(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return central
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

suite('the keeper of the certificate', { timeout: 30_000 }, () => {
  let authority: TestAuthority
  let identity: Identity
  before(async () => {
    authority = await TestAuthority.create()
    identity = await identityOf(authority)
  })

  /** A keeper whose clock stands still until it is moved. */
  const keep = async (central: Central, folder: string) => {
    const certificateFile = join(folder, 'cert.pem')
    await writeFile(certificateFile, identity.certificate)
    const time = { now: Date.now() }
    const renewed: Identity[] = []
    let next = Promise.withResolvers<Identity>()
    const keeper = new CertificateKeeper({
      centralUrl: central.url,
      identity,
      certificateFile,
      onRenewed: to => {
        renewed.push(to)
        next.resolve(to)
        next = Promise.withResolvers()
      },
      log: pino({ level: 'silent' }),
      now: () => time.now,
    })
    const controller = new AbortController()
    const ended = keeper.run(controller.signal)
    return {
      keeper,
      time,
      renewed,
      certificateFile,
      next: () => next.promise,
      [Symbol.asyncDispose]: async () => {
        controller.abort()
        await ended
      },
    }
  }

  test('renews when it is asked, with the old key, and signs the next request with the new certificate', async () => {
    await using folder = await temporaryFolder()
    await using central = await Central.listen(authority)
    await using run = await keep(central, folder.path)
    const first = run.next()
    run.keeper.renewNow()
    const { certificate, key, device: same } = await first
    assert.equal(same, device)
    assert.deepEqual(key, identity.key)
    assert.notDeepEqual(certificate, identity.certificate)
    assert.ok(new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)))
    assert.deepEqual(await readFile(run.certificateFile), certificate)
    // Ten wishes in a minute are one.
    for (let left = 10; left > 0; left -= 1) run.keeper.renewNow()
    run.time.now += 61_000
    const second = run.next()
    run.keeper.renewNow()
    await second
    assert.deepEqual(
      central.asked.map(({ fingerprint256 }) => fingerprint256),
      [identity.certificate, certificate].map(pem => new X509Certificate(pem).fingerprint256),
    )
  })

  test('renews by itself at two thirds of the time', async () => {
    await using folder = await temporaryFolder()
    await using central = await Central.listen(authority)
    // The test's certificates are good from an hour ago to an hour from now: two thirds are over in 20 minutes.
    const { validFromDate, validToDate } = new X509Certificate(identity.certificate)
    const due = validFromDate.getTime() + ((validToDate.getTime() - validFromDate.getTime()) * 2) / 3
    const early = await keep(central, folder.path)
    early.time.now = due - 60_000
    await early[Symbol.asyncDispose]()
    assert.equal(central.asked.length, 0)
    const certificateFile = join(folder.path, 'cert.pem')
    const late = Promise.withResolvers<Identity>()
    const keeper = new CertificateKeeper({
      centralUrl: central.url,
      identity,
      certificateFile,
      onRenewed: late.resolve,
      log: pino({ level: 'silent' }),
      now: () => due,
    })
    const controller = new AbortController()
    const ended = keeper.run(controller.signal)
    await late.promise
    controller.abort()
    await ended
    assert.ok(central.asked.length >= 1)
  })

  test('what central sends is taken only for this device, this key and the authority that is trusted', async () => {
    await using folder = await temporaryFolder()
    await using central = await Central.listen(authority)
    await using run = await keep(central, folder.path)
    const stranger = await TestAuthority.create()
    const other = await authority.issue(device, 'device')
    const bad = [other.certificate, (await stranger.issue(device, 'device')).certificate, 'not a certificate']
    for (const certificate of bad) {
      const body = { id: device, certificate, authority: stranger.certificate, expiresAt: new Date().toISOString() }
      central.answers.push({ status: 201, body: JSON.stringify(body) })
    }
    central.answers.push(
      { status: 401, body: '{"code":"CERTIFICATE_EXPIRED"}' },
      { status: 200, body: 'x'.repeat(100_000) },
    )
    const taken = run.next()
    let tries = 0
    while (central.answers.length > 0) {
      run.time.now += 61_000
      run.keeper.renewNow()
      tries += 1
      assert.ok(tries < 1_000_000)
      await new Promise(setImmediate)
    }
    assert.deepEqual(await readFile(run.certificateFile), Buffer.from(identity.certificate))
    assert.deepEqual(run.renewed, [])
    run.time.now += 61_000
    run.keeper.renewNow()
    await taken
  })
})
