import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Client, type ClientDuplexStream, credentials, Server, type ServerDuplexStream } from '@grpc/grpc-js'
import { openCertificateAuthority } from '@tributary/local-stack/services/certificate-authority'
import { v7 as uuidv7 } from 'uuid'
import { certificateRequest } from '../identity/certificate-request.ts'
import { readIdentity } from '../identity/node-identity.ts'
import { certificateOfRequest, nodeCertificate } from '../testing/test-certificates.ts'
import { testIdentity } from '../testing/test-identity.ts'
import { ConnectionListener } from './connection-listener.ts'
import { ServerCertificate } from './server-certificate.ts'

const same = (bytes: Buffer) => bytes
const echo = {
  path: '/test.Echo/Talk',
  requestStream: true,
  responseStream: true,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
} as const

test('a server shows the next certificate to who connects from then on, and cuts no call that runs', {
  timeout: 60_000,
}, async () => {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'tributary-server-certificate-'))
  opened.defer(() => rm(folder, { recursive: true }))
  const authority = await openCertificateAuthority(folder)
  const id = uuidv7()
  const files = await nodeCertificate(authority, id)
  const identity = readIdentity({
    certificate: await readFile(files.certificateFile, 'utf8'),
    key: await readFile(files.keyFile, 'utf8'),
    authority: authority.certificatePem,
  })
  const device = await authority.clientCertificate('d', 'd', 'device')
  const [key, cert] = await Promise.all([readFile(device.keyFile), readFile(device.certificateFile)])

  const shown = new ServerCertificate(identity.pem)
  const server = new Server()
  server.addService({ talk: echo }, { talk: (call: ServerDuplexStream<Buffer, Buffer>) => call.pipe(call as never) })
  opened.defer(() => server.forceShutdown())
  const port = await new Promise<number>((resolve, reject) => {
    const listening = (error: Error | null, bound: number) => (error === null ? resolve(bound) : reject(error))
    server.bindAsync('127.0.0.1:0', shown.credentials(), listening)
  })

  const seen: string[] = []
  const ca = Buffer.from(authority.certificatePem)
  const checkServerIdentity = (_: string, { raw }: { raw: Buffer }) => {
    seen.push(new X509Certificate(raw).fingerprint256)
    return undefined
  }
  const talk = (client: Client): ClientDuplexStream<Buffer, Buffer> =>
    client.makeBidiStreamRequest(echo.path, same, same, { deadline: Date.now() + 30_000 })
  const connect = (...own: [] | [Buffer, Buffer]) => {
    const [ownKey = null, ownCertificate = null] = own
    const secure = credentials.createSsl(ca, ownKey, ownCertificate, { checkServerIdentity })
    // Clients of one address share their connections otherwise.
    const client = new Client(`127.0.0.1:${port}`, secure, { 'grpc.use_local_subchannel_pool': 1 })
    opened.defer(() => client.close())
    return client
  }
  const say = async (call: ClientDuplexStream<Buffer, Buffer>, word: string) => {
    call.write(Buffer.from(word))
    const [answer] = await once(call, 'data')
    assert.equal(`${answer}`, word)
  }

  const running = talk(connect(key, cert))
  await say(running, 'before')
  const next = readIdentity({
    ...identity.pem,
    certificate: await certificateOfRequest(authority, id, certificateRequest(identity.key)),
  })
  shown.replace(next.pem)
  await say(running, 'after')
  const later = talk(connect(key, cert))
  await say(later, 'new')
  await say(running, 'still')
  assert.deepEqual(seen, [identity.certificate.fingerprint256, next.certificate.fingerprint256])

  const nobody = talk(connect())
  await assert.rejects(once(nobody, 'data'), { code: 14 })
  for (const call of [running, later]) {
    const ended = once(call, 'end')
    call.end()
    await ended
  }
})

test('a connection that spoke, and does not go on to show a certificate, is cut', async () => {
  const { pem } = await testIdentity(uuidv7())
  const server = new Server()
  const injector = server.createConnectionInjector(new ServerCertificate(pem).credentials(50))
  const handedOn: Promise<unknown>[] = []
  const listener = new ConnectionListener({ mostConnections: 10 }, socket => {
    handedOn.push(once(socket, 'close'))
    injector.injectConnection(socket)
  })
  const port = await listener.listen({ host: '127.0.0.1', port: 0 })
  const client = connectTcp(port, '127.0.0.1').on('error', () => {})
  client.resume()
  // A TLS record of a handshake begins so.
  client.write(Uint8Array.of(22))
  await once(client, 'close', { signal: AbortSignal.timeout(30_000) })
  await Promise.all(handedOn)
  assert.deepEqual([handedOn.length, listener.connections], [1, 0])
  await listener.close(AbortSignal.abort())
  server.forceShutdown()
})
