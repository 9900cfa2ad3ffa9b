import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { Client, credentials, Metadata, Server, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js'
import { openCertificateAuthority } from '@tributary/local-stack/services/certificate-authority'
import { testContext } from '@tributary/local-stack/services/testing'
import { type PeerCall, Peers } from './peer-identity.ts'

const text = { serialize: (value: string) => Buffer.from(value), deserialize: (bytes: Buffer) => bytes.toString() }
const whoAmI = {
  path: '/test.Test/WhoAmI',
  requestStream: false,
  responseStream: false,
  requestSerialize: text.serialize,
  requestDeserialize: text.deserialize,
  responseSerialize: text.serialize,
  responseDeserialize: text.deserialize,
} as const

test('a certificate is read once for each connection, and every connection has its own', async () => {
  await using context = await testContext()
  const authority = await openCertificateAuthority(context.folders.state)
  const pem = async ({ certificateFile, keyFile }: { certificateFile: string; keyFile: string }) => ({
    cert: await readFile(certificateFile),
    key: await readFile(keyFile),
  })
  const ca = Buffer.from(authority.certificatePem)
  const own = await pem(await authority.serverCertificate('server'))
  const peers = new Peers()
  let reads = 0
  using ending = new DisposableStack()
  const server = ending.adopt(new Server(), opened => opened.forceShutdown())
  server.addService({ whoAmI } as never, {
    whoAmI: (call: ServerUnaryCall<string, string>, answer: (error: null, text: string) => void) => {
      const counted = Object.assign(Object.create(call) as PeerCall, {
        getAuthContext: () => {
          reads += 1
          return call.getAuthContext()
        },
      })
      const peer = peers.of(counted)
      answer(null, `${peer?.commonName} ${peer?.organisationalUnit} ${peer?.sha256}`)
    },
  })
  const pair = { cert_chain: own.cert, private_key: own.key }
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(ca, [pair], true), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  const expected: string[] = []
  const heard: string[] = []
  for (const name of ['first', 'second']) {
    const { cert, key } = await pem(await authority.clientCertificate(name, name, 'device'))
    const der = Buffer.from(cert.toString().replace(/-----[^-]+-----|\s/g, ''), 'base64')
    const client = ending.adopt(new Client(`localhost:${port}`, credentials.createSsl(ca, key, cert)), opened =>
      opened.close(),
    )
    for (let call = 0; call < 3; call += 1) {
      expected.push(`${name} device ${createHash('sha256').update(der).digest('hex')}`)
      heard.push(
        await new Promise<string>((resolve, reject) =>
          client.makeUnaryRequest(
            whoAmI.path,
            whoAmI.requestSerialize,
            whoAmI.responseDeserialize,
            'who am I?',
            new Metadata(),
            (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
          ),
        ),
      )
    }
  }
  assert.deepEqual(heard, expected)
  assert.equal(reads, 2)
})

test('where the connection is not told, the certificate is read for each call; without one there is nobody', () => {
  const raw = Buffer.from('der')
  const certificate = { raw, subject: { CN: 'a', OU: 'device' }, valid_to: 'Jan  1 00:00:00 2030 GMT' } as never
  let shown: ReturnType<TLSSocket['getPeerCertificate']> | undefined = certificate
  const call = { getAuthContext: () => (shown === undefined ? {} : { sslPeerCertificate: shown }) }
  const peers = new Peers()
  assert.deepEqual(peers.of(call), {
    commonName: 'a',
    organisationalUnit: 'device',
    validTo: Date.UTC(2030, 0, 1),
    sha256: createHash('sha256').update('der').digest('hex'),
  })
  shown = undefined
  assert.equal(peers.of(call), undefined)
})
