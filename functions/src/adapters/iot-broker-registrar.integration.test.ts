import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { IoTClient } from '@aws-sdk/client-iot'
import { TributaryError } from '@tributary/contracts/errors'
import { fileCertificateAuthority } from '../fleet/certificate-authority.ts'
import { readCertificateRequest } from '../fleet/certificate-request.ts'
import { IotStub } from '../testing/iot-stub.ts'
import { createRequest, createTestAuthority } from '../testing/test-certificates.ts'
import { systemClock } from './clock.ts'
import { uuidV7Ids } from './ids.ts'
import { IotBrokerRegistrar } from './iot-broker-registrar.ts'

const policies = { device: 'tributary-device', 'regional-node': 'tributary-node' }

suite('certificates at IoT Core', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let authority: Awaited<ReturnType<typeof createTestAuthority>>
  let stub: IotStub
  let client: IoTClient
  let registrar: IotBrokerRegistrar
  before(async () => {
    authority = resources.use(await createTestAuthority())
  })
  after(() => resources.disposeAsync())
  beforeEach(async () => {
    stub = resources.use(await IotStub.listen())
    for (const name of Object.values(policies)) stub.policies.add(name)
    const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
    client = new IoTClient({ region: 'eu-central-1', endpoint: stub.url, credentials, maxAttempts: 4 })
    resources.adopt(client, opened => opened.destroy())
    registrar = new IotBrokerRegistrar({ policies }, client)
  })

  const issue = async (id: string, kind: 'device' | 'regional-node' = 'device') => {
    const publicKey = await readCertificateRequest((await createRequest()).csr)
    const issuer = fileCertificateAuthority(authority.config, systemClock)
    const order = kind === 'device' ? { kind } : { kind, hostnames: ['localhost'] }
    const { certificatePem, sha256 } = await issuer.issue({ ...order, id, publicKey })
    return { kind, id, certificatePem, sha256 }
  }
  /** What IoT Core knows of a certificate: null, or whether it is active, its policies, and whether the thing has it. */
  const stateOf = (id: string, sha256: string) => {
    const certificate = stub.certificates.get(sha256)
    if (certificate === undefined) return null
    const attached = [...(stub.things.get(id) ?? [])].some(arn => arn.endsWith(`/${sha256}`))
    return [certificate.active, ...certificate.policies, attached]
  }
  const unavailable = (error: unknown) => error instanceof TributaryError && error.code === 'UNAVAILABLE'

  test('a device has an active certificate, its policy and its thing, however often it is registered', async () => {
    const device = await issue(uuidV7Ids.next())
    await registrar.register(device)
    assert.deepEqual(stub.calls, [
      'POST /certificate/register-no-ca',
      'PUT /target-policies/tributary-device',
      `POST /things/${device.id}`,
      `PUT /things/${device.id}/principals`,
      `GET /things/${device.id}/principals`,
    ])
    assert.deepEqual(stateOf(device.id, device.sha256), [true, 'tributary-device', true])
    await registrar.register(device)
    assert.deepEqual(stateOf(device.id, device.sha256), [true, 'tributary-device', true])
    assert.deepEqual([stub.certificates.size, stub.things.size], [1, 1])
  })

  test('a node has the policy of nodes; an authority that is registered is named', async () => {
    const node = await issue(uuidV7Ids.next(), 'regional-node')
    await new IotBrokerRegistrar({ policies, authorityPem: authority.pem }, client).register(node)
    assert.deepEqual(stateOf(node.id, node.sha256), [true, 'tributary-node', true])
    assert.equal(stub.certificates.get(node.sha256)?.withAuthority, true)
  })

  test('after a renewal the new certificate and the one before are good, any older one is not', async () => {
    const id = uuidV7Ids.next()
    const [first, second, third] = [await issue(id), await issue(id), await issue(id)]
    await registrar.register(first)
    await registrar.register({ ...second, previousSha256: first.sha256 })
    assert.deepEqual(stateOf(id, first.sha256), [true, 'tributary-device', true])
    await registrar.register({ ...third, previousSha256: second.sha256 })
    const states = [first, second, third].map(({ sha256 }) => stateOf(id, sha256))
    assert.deepEqual(states, [
      [false, false],
      [true, 'tributary-device', true],
      [true, 'tributary-device', true],
    ])
  })

  test('a revoked device has nothing left, and revoking again or what is unknown changes nothing', async () => {
    const device = await issue(uuidV7Ids.next())
    const other = await issue(uuidV7Ids.next())
    await registrar.register(device)
    await registrar.register(other)
    for (const _ of [1, 2]) {
      await registrar.revoke(device)
      assert.deepEqual(stateOf(device.id, device.sha256), [false, false])
    }
    await registrar.revoke({ kind: 'device', id: uuidV7Ids.next() })
    assert.deepEqual(stateOf(other.id, other.sha256), [true, 'tributary-device', true])
  })

  test('throttled calls are made again; whatever else fails half way is mended by the next call', async () => {
    const device = await issue(uuidV7Ids.next())
    const throttled = { status: 429, type: 'ThrottlingException' }
    stub.refusals.push(throttled, throttled)
    await registrar.register(device)
    assert.equal(stub.calls.filter(call => call.endsWith('register-no-ca')).length, 3)

    for (let done = 0; done < 5; done += 1) {
      const next = await issue(uuidV7Ids.next())
      stub.refusals.push(...Array(done).fill(null), { status: 401, type: 'UnauthorizedException' })
      await assert.rejects(registrar.register(next), unavailable)
      // Nobody is let in by a certificate that lacks what it may do, or is not known.
      const [active, policy] = stateOf(next.id, next.sha256) ?? [false]
      assert.ok(!active || done < 2 || policy === 'tributary-device')
      await registrar.register(next)
      assert.deepEqual(stateOf(next.id, next.sha256), [true, 'tributary-device', true])
    }
    for (let done = 0; done < 4; done += 1) {
      const next = await issue(uuidV7Ids.next())
      await registrar.register(next)
      stub.refusals.push(...Array(done).fill(null), { status: 401, type: 'UnauthorizedException' })
      await assert.rejects(registrar.revoke(next), unavailable)
      await registrar.revoke(next)
      assert.deepEqual(stateOf(next.id, next.sha256), [false, false])
    }
  })

  test('a certificate that was made inactive is active again when it is registered; a limit is named', async () => {
    const device = await issue(uuidV7Ids.next())
    await registrar.register(device)
    await registrar.revoke(device)
    await registrar.register(device)
    assert.deepEqual(stateOf(device.id, device.sha256), [true, 'tributary-device', true])
    stub.refusals.push(...Array(4).fill({ status: 410, type: 'LimitExceededException' }))
    const refused = registrar.register(await issue(uuidV7Ids.next()))
    await assert.rejects(refused, error => unavailable(error) && /limit of the account/.test((error as Error).message))
    stub.policies.clear()
    await assert.rejects(registrar.register(await issue(uuidV7Ids.next())), unavailable)
  })
})
