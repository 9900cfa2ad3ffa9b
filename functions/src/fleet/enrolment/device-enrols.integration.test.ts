import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../adapters/clock.ts'
import type { ApiAnswer, ApiRequestOptions } from '../../testing/api-client.ts'
import { testApi, testParts, tokens } from '../../testing/test-api.ts'
import { createRequest, createTestAuthority } from '../../testing/test-certificates.ts'
import { startTestDatabase, type TestDatabase } from '../../testing/test-database.ts'
import { noRegistrar } from '../broker-registrar.ts'
import { fileCertificateAuthority } from '../certificate-authority.ts'
import { fleetHandlers } from '../fleet-handlers.ts'

// Deployables know each other by their protocols: the agent is a process here, as on a device.
const agentCommand = fileURLToPath(new URL('../../../../edge-agent/src/commands/agent/agent.main.ts', import.meta.url))
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString()

type Api = (method: string, path: string, options?: ApiRequestOptions) => Promise<ApiAnswer>

suite('a device enrols with the command of the agent', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let api: Api
  let centralUrl: string
  let folder: string
  let node: Awaited<ReturnType<typeof startNode>>
  let authoritySha256: string

  before(async () => {
    db = resources.use(await startTestDatabase())
    const files = resources.use(await createTestAuthority())
    authoritySha256 = sha256Of(files.pem)
    folder = await mkdtemp(join(tmpdir(), 'tributary-enrol-'))
    resources.defer(() => rm(folder, { recursive: true, force: true }))
    const authority = fileCertificateAuthority(files.config, systemClock)
    const parts = { ...testParts(db.database), authority, registrar: noRegistrar, mqttUrl: 'mqtts://localhost:9' }
    api = testApi('fleet', fleetHandlers(parts), { database: db.database })
    centralUrl = resources.use(await serve(api)).url
    await api('POST', '/v1/regions', { token: tokens.admin, body: { region: 'alps' } })
    node = resources.use(await startNode(api, files.pem))
    await db.sql`update regional_node set endpoint = ${node.endpoint}, last_seen_at = now()`
  })
  after(() => resources.disposeAsync())

  const makeCode = async (): Promise<{ id: string; code: string }> => {
    const body = { region: 'alps', count: 1, expiresAt: inAnHour() }
    return (await api('POST', '/v1/enrolment-codes', { token: tokens.operator, body })).body
  }
  const agent = (line: readonly string[], environment: Record<string, string> = {}) => {
    const child = spawn(process.execPath, [agentCommand, ...line], {
      env: { HOME: folder, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const text: string[] = []
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', part => text.push(part))
    const ended = once(child, 'close').then(([code]) => ({ code, text: text.join('') }))
    return { child, ended }
  }
  const enrol = (stateDir: string, code: string, ...more: string[]) =>
    agent(['enrol', '--url', centralUrl, '--code', code, '--state-dir', stateDir, ...more]).ended

  test('and starts without any variable, as whom central knows', async () => {
    const stateDir = join(folder, 'scales')
    const { id, code } = await makeCode()
    const { code: exit, text } = await enrol(stateDir, code, '--label', 'scales', '--authority-sha256', authoritySha256)
    assert.equal(exit, 0, text)
    const [device] = (await api('GET', `/v1/enrolment-codes/${id}/devices`, { token: tokens.operator })).body.items
    assert.equal(device.label, 'scales')
    const key = join(stateDir, 'identity', 'key.pem')
    assert.equal((await stat(key)).mode & 0o777, 0o600)
    const page = JSON.parse(await readFile(join(stateDir, 'agent.json'), 'utf8'))
    assert.deepEqual(
      [page.device, page.region, page.authoritySha256, page.settings.NODE_ENDPOINTS, page.settings.MQTT_URL],
      [device.device, 'alps', authoritySha256, node.endpoint, 'mqtts://localhost:9'],
    )
    assert.deepEqual((await readdir(stateDir)).sort(), ['agent.json', 'identity'])

    await mkdir(join(stateDir, 'data'))
    await writeFile(join(stateDir, 'data', 'datasets.json'), '{"datasets": []}')
    const running = agent(['run', '--state-dir', stateDir])
    try {
      assert.equal(await node.nextDevice(), device.device)
    } finally {
      running.child.kill('SIGTERM')
    }
    const { code: end, text: log } = await running.ended
    assert.equal(end, 0, log)
    assert.match(log, new RegExp(`"device":"${device.device}".*agent started`))
  })

  test('an identity is not overwritten but by force, and what was cut goes on with the same key and the same code', async () => {
    const stateDir = join(folder, 'twice')
    const { id, code } = await makeCode()
    const wrong = await enrol(stateDir, code, '--authority-sha256', '0'.repeat(64))
    assert.equal(wrong.code, 1)
    assert.match(wrong.text, /Somebody may be in between/)
    assert.deepEqual(await readdir(stateDir), ['identity.next'])
    const key = await readFile(join(stateDir, 'identity.next', 'key.pem'), 'utf8')
    const unasked = await enrol(stateDir, code)
    assert.equal(unasked.code, 1)
    assert.match(unasked.text, /give --authority-sha256 \(better\) or --yes/)

    assert.equal((await enrol(stateDir, code, '--yes')).code, 0)
    assert.equal(await readFile(join(stateDir, 'identity', 'key.pem'), 'utf8'), key)
    const devices = (await api('GET', `/v1/enrolment-codes/${id}/devices`, { token: tokens.operator })).body.items
    assert.equal(devices.length, 1)

    const next = await makeCode()
    const again = await enrol(stateDir, next.code, '--yes')
    assert.equal(again.code, 1)
    assert.match(again.text, /enrolled already \(.*CN=/)
    assert.equal(await readFile(join(stateDir, 'identity', 'key.pem'), 'utf8'), key)
    assert.equal((await enrol(stateDir, next.code, '--yes', '--force')).code, 0)
    assert.notEqual(await readFile(join(stateDir, 'identity', 'key.pem'), 'utf8'), key)
    const certificate = new X509Certificate(await readFile(join(stateDir, 'identity', 'certificate.pem')))
    const { device } = JSON.parse(await readFile(join(stateDir, 'agent.json'), 'utf8'))
    assert.ok(certificate.subject.includes(device))
    assert.notEqual(device, devices[0].device)
  })

  test('a wrong code, a wrong address and a region without a node are said in one line each', async () => {
    const stateDir = join(folder, 'wrong')
    const cases: [string[], number, RegExp][] = [
      [['--url', centralUrl, '--code', 'AAAAA'], 1, /CODE_MISTYPED/],
      [['--url', 'http://localhost:9', '--code', 'AAAAA'], 1, /does not answer \(.*ECONNREFUSED|bad port/],
      [['--url', 'http://central.example', '--code', 'AAAAA'], 2, /must be https/],
      [['--code', 'AAAAA'], 2, /--url/],
    ]
    for (const [line, code, message] of cases) {
      const ended = await agent(['enrol', ...line, '--state-dir', stateDir]).ended
      assert.match(ended.text, message)
      assert.equal(ended.code, code)
      assert.equal(ended.text.trim().split('\n').length, 1, ended.text)
    }
  })
})

const sha256Of = (pem: string): string => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')

/** The API behind a socket. */
const serve = async (api: Api): Promise<AsyncDisposable & { url: string }> => {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    const answer = async (): Promise<void> => {
      const body = JSON.parse(Buffer.concat(chunks).toString() || 'null')
      const answered = await api(request.method ?? '', request.url ?? '', { body, key: null })
      response.writeHead(answered.status, { 'content-type': 'application/json' }).end(JSON.stringify(answered.body))
    }
    request.on('end', () => void answer())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** The end of a node's line at which devices prove who they are. */
const startNode = async (api: Api, authorityPem: string) => {
  const { csr, key } = await createRequest()
  const body = { region: 'alps', name: 'one', csr, hostnames: ['localhost'] }
  const registered = await api('POST', '/v1/regional-nodes', { token: tokens.admin, body })
  assert.equal(registered.status, 201, JSON.stringify(registered.body))
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64')
  const server = createTlsServer({
    ca: authorityPem,
    cert: registered.body.certificate,
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `localhost:${(server.address() as AddressInfo).port}`,
    nextDevice: async (): Promise<string> => {
      const signal = AbortSignal.timeout(60_000)
      const [socket] = (await once(server, 'secureConnection', { signal })) as [TLSSocket]
      const { CN } = socket.getPeerCertificate().subject
      socket.destroy()
      return String(CN)
    },
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}
