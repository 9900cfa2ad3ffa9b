import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { systemClock } from '../adapters/clock.ts'
import { uuidV7Ids } from '../adapters/ids.ts'
import { Database } from '../database/database.ts'
import { createLog } from '../log.ts'
import { migrate } from '../migrations/migrate.ts'
import { testApi, testParts } from '../testing/test-api.ts'
import { createRequest, createTestAuthority, signRequest } from '../testing/test-certificates.ts'
import { startTestDatabase } from '../testing/test-database.ts'
import { fileCertificateAuthority } from './certificate-authority.ts'
import { readCertificateRequest } from './certificate-request.ts'
import { fleetHandlers } from './fleet-handlers.ts'

const migrations = fileURLToPath(new URL('../../migrations/', import.meta.url))

test('a node that was registered before its names were kept renews its certificate for the names that it has', {
  timeout: 60_000,
}, async () => {
  await using opened = new AsyncDisposableStack()
  const server = opened.use(await startTestDatabase())
  const url = await server.createEmpty()
  const older = await mkdtemp(join(tmpdir(), 'tributary-migrations-'))
  opened.defer(() => rm(older, { recursive: true }))
  for (const name of (await readdir(migrations)).filter(file => file < '0013')) {
    await copyFile(join(migrations, name), join(older, name))
  }
  await migrate({ databaseUrl: url, folder: older })
  const sql = postgres(url, { max: 1, onnotice: () => undefined })
  opened.defer(() => sql.end({ timeout: 1 }))

  const files = opened.use(await createTestAuthority())
  const authority = fileCertificateAuthority(files.config, systemClock)
  const register = async (name: string, hostnames: string[]) => {
    const id = uuidV7Ids.next()
    const { csr, key } = await createRequest()
    const publicKey = await readCertificateRequest(csr)
    const issued = await authority.issue({ kind: 'regional-node', id, publicKey, hostnames })
    await sql`
      insert into regional_node (id, region, name, certificate_sha256, certificate_expires_at)
      values (${id}, 'alps', ${name}, ${issued.sha256}, ${issued.expiresAt})`
    return { id, csr, key, certificate: issued.certificatePem }
  }
  await sql`insert into region (region, name, shard_count) values ('alps', 'Alps', 1)`
  const named = await register('n-1', ['node.example', '127.0.0.1', '2001:db8::1'])
  const nameless = await register('n-2', [])

  await migrate({ databaseUrl: url })
  const database = opened.use(new Database({ url, log: createLog('silent', 'test'), name: 'test' }))
  const handlers = fleetHandlers({ ...testParts(database), authority })
  const api = testApi('fleet', handlers, { database, authorityPem: files.pem })
  const renew = async ({ id, csr, key, certificate }: typeof named) => {
    const path = `/v1/regional-nodes/${id}/certificate`
    const body = JSON.stringify({ csr })
    const token = await signRequest(id, { certificatePem: certificate, key, method: 'POST', path, body })
    return api('POST', path, { token, body, key: null })
  }
  const first = await renew(named)
  assert.equal(first.status, 201)
  const { subjectAltName } = new X509Certificate(first.body.certificate)
  assert.equal(subjectAltName, new X509Certificate(named.certificate).subjectAltName)
  assert.match(subjectAltName ?? '', /^DNS:node\.example, IP Address:127\.0\.0\.1, IP Address:2001:DB8/)
  const second = await renew({ ...named, certificate: first.body.certificate })
  assert.equal(new X509Certificate(second.body.certificate).subjectAltName, subjectAltName)
  assert.equal((await renew(nameless)).body.code, 'STATE_CONFLICT')
})
