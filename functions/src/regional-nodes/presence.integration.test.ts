import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DatasetDescription } from '@tributary/contracts/dataset-description'
import type { DeviceDetail, DeviceView } from '@tributary/contracts/fleet'
import type { DevicePresence } from '@tributary/contracts/node-status'
import { v7 } from 'uuid'
import { getDevice } from '../fleet/get-device.ts'
import { listDevices } from '../fleet/list-devices.ts'
import { updateDevice } from '../fleet/update-device.ts'
import type { TransactionalHandler } from '../http/handler.ts'
import type { RoundFederation } from '../testing/round-federation.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()

const seen = (device: string, fields: Partial<DevicePresence> = {}): DevicePresence => ({
  device,
  online: true,
  seenAt: '2026-01-02T03:04:05.000Z',
  agentVersion: '0.1.0',
  frameworks: ['onnx'],
  datasets: [{ name: 'mnist', examples: 600, heldOut: false }],
  ...fields,
})
const deviceOf = async (federation: RoundFederation, device: string): Promise<DeviceDetail> =>
  (await getDevice(federation.context)(
    federation.request<'getDevice'>({ params: { device }, query: undefined, body: undefined }),
  )) as DeviceDetail
const isOnline = async (federation: RoundFederation, device: string) =>
  (await deviceOf(federation, device)).presence?.online
const onlineOnes = async (federation: RoundFederation, online: boolean) => {
  const query = { limit: 200, online }
  const page = await listDevices(federation.context)(
    federation.request<'listDevices'>({ params: undefined, query, body: undefined }),
  )
  return page.items.map(({ id }) => id).toSorted()
}

test('what a device says of itself is shown, and a certificate that is in use ends the one before', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  const node = federation.nodeOf('north')
  const [device, other] = federation.devices.map(({ id }) => id) as [string, string]
  const boot = v7()
  await federation.status(node, { boot })
  assert.equal((await deviceOf(federation, device)).presence, null)
  await services.db.sql`update device set previous_certificate_sha256 = ${'a'.repeat(64)}`
  const [row] = await services.db.sql<
    { sha256: string }[]
  >`select certificate_sha256 as sha256 from device where id = ${device}`
  const full = {
    frameworks: ['onnx', 'pytorch'],
    datasets: [
      { name: 'mnist', examples: 600, heldOut: false },
      { name: 'mnist-test', examples: 100, heldOut: true },
    ],
    conditions: ['idle' as const, 'unmetered' as const],
    certificateSha256: row?.sha256 as string,
  }
  const { directory } = await federation.status(node, {
    boot,
    presence: [seen(device, full), seen(other, { certificateSha256: 'b'.repeat(64) })],
  })
  const { presence } = await deviceOf(federation, device)
  const { lastSeenAt, ...shown } = presence as NonNullable<typeof presence>
  assert.deepEqual(shown, {
    online: true,
    node: node.id,
    agentVersion: '0.1.0',
    frameworks: full.frameworks,
    datasets: full.datasets,
    conditions: full.conditions,
  })
  // A node that is alive sees it still.
  assert.ok(Math.abs(Date.parse(lastSeenAt) - Date.now()) < 5000)
  const previous = new Map(directory.devices.map(entry => [entry.device, entry.previousCertificateSha256]))
  assert.deepEqual([previous.get(device), previous.get(other)], [undefined, 'a'.repeat(64)])
  await federation.status(node, { boot, presence: [seen(device, { online: false })] })
  const gone = await deviceOf(federation, device)
  assert.deepEqual([gone.presence?.online, gone.presence?.lastSeenAt], [false, '2026-01-02T03:04:05.000Z'])
})

test('devices of a node that died are offline when its lease has ended, though nobody wrote it', async () => {
  const federation = await services.begin({ north: { trainers: 3 } })
  const node = federation.nodeOf('north')
  const ids = federation.devices.map(({ id }) => id)
  const [device] = ids as [string]
  const boot = v7()
  await federation.status(node, { boot })
  await federation.status(node, { boot, presence: ids.map(id => seen(id)) })
  assert.deepEqual(await onlineOnes(federation, true), ids.toSorted())
  assert.deepEqual(await onlineOnes(federation, false), [])
  await services.db.sql`update region_shard set lease_expires_at = now() - interval '1 millisecond'`
  assert.equal(await isOnline(federation, device), false)
  assert.deepEqual(await onlineOnes(federation, false), ids.toSorted())
  // It comes back with its log, in the same process: what it said holds again.
  await federation.status(node, { boot })
  assert.equal(await isOnline(federation, device), true)
  // In a new process it knows nobody until they check in.
  await federation.status(node, { boot: v7() })
  assert.equal(await isOnline(federation, device), false)
})

test('only the holder of a shard speaks for its devices, in its epoch', async () => {
  const federation = await services.begin({ north: { trainers: 1 }, south: { trainers: 1 } })
  const first = federation.nodeOf('north')
  const south = federation.nodeOf('south')
  const [device, foreign] = federation.devices.map(({ id }) => id) as [string, string]
  const boots = { first: v7(), second: v7(), south: v7() }
  await federation.status(first, { boot: boots.first })
  await federation.status(south, { boot: boots.south })
  await federation.status(first, { boot: boots.first, presence: [seen(device), seen(foreign), seen(v7())] })
  assert.equal(await isOnline(federation, device), true)
  assert.equal((await deviceOf(federation, foreign)).presence, null)
  await services.db.sql`update region_shard set lease_expires_at = now() where region = 'north'`
  const second = await federation.addNode('north')
  await federation.status(second, { boot: boots.second })
  assert.equal(await isOnline(federation, device), false)
  await federation.status(first, { boot: boots.first, presence: [seen(device)] })
  assert.equal(await isOnline(federation, device), false)
  await federation.status(second, {
    boot: boots.second,
    presence: [seen(device), seen(device, { agentVersion: '0.2.0' })],
  })
  const { presence } = await deviceOf(federation, device)
  assert.deepEqual([presence?.online, presence?.node, presence?.agentVersion], [true, second.id, '0.2.0'])
  const hostile = { agentVersion: 'a\0b', frameworks: ['\ud800'] }
  await federation.status(second, { boot: boots.second, presence: [seen(device, hostile)] })
  assert.equal((await deviceOf(federation, device)).presence?.agentVersion, 'a\ufffdb')
})

test('what owners let out about data sets is kept as the holder of the shard tells it, until they let out nothing', async () => {
  const federation = await services.begin({ north: { trainers: 1 }, south: { trainers: 1 } })
  const [node, south] = [federation.nodeOf('north'), federation.nodeOf('south')]
  const [device, foreign] = federation.devices.map(({ id }) => id) as [string, string]
  const boot = v7()
  await federation.status(node, { boot })
  await federation.status(south, { boot: v7() })
  const schema = {
    format: 'csv',
    shape: [2],
    dtype: 'f32' as const,
    label: { kind: 'class' as const, size: 1, classes: 2 },
  }
  const tell = (target: string, datasets: DatasetDescription[], letter = 'a') =>
    federation.status(node, { boot, datasetDescriptions: [{ device: target, digest: letter.repeat(64), datasets }] })
  const known = async (target: string) => (await deviceOf(federation, target)).datasetDescriptions
  assert.equal(await known(device), null)
  const datasets = [{ name: 'visits', schema, labelCounts: [3, 4] }]
  await tell(device, datasets)
  const first = await known(device)
  assert.deepEqual(first?.datasets, datasets)
  await tell(device, datasets, 'b')
  assert.deepEqual(await known(device), first, 'the same again writes nothing')
  await tell(foreign, datasets)
  assert.equal(await known(foreign), null)
  await tell(device, [{ name: 'visits', schema: { ...schema, columns: ['a\0b', '\ud800'] } }], 'c')
  assert.deepEqual((await known(device))?.datasets[0]?.schema?.columns, ['a\ufffdb', '\ufffd'])
  await tell(foreign, [], 'd')
  await tell(device, [], 'd')
  assert.equal(await known(device), null)
})

test('groups and labels of a device reach its nodes, and an equal change reaches nobody', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  const node = federation.nodeOf('north')
  const device = federation.devices[0]?.id as string
  const { directory } = await federation.status(node)
  assert.deepEqual(
    directory.devices.map(({ labels }) => labels),
    [{}, {}],
  )
  const update = (body: { groups?: string[]; labels?: Record<string, string> }) => {
    const request = federation.request<'updateDevice'>({ params: { device }, query: undefined, body })
    const handler = updateDevice(federation.context) as TransactionalHandler<'updateDevice'>
    return federation.context.database.transaction(sql => handler(request, sql)) as Promise<DeviceView>
  }
  const labelled = await update({ labels: { site: 'north' } })
  assert.deepEqual([labelled.labels, labelled.groups], [{ site: 'north' }, []])
  assert.deepEqual((await update({ groups: ['a', 'a', 'b'] })).groups, ['a', 'b'])
  await update({ groups: ['a', 'b'], labels: { site: 'north' } })
  const { directory: after } = await federation.status(node, { directorySequence: directory.sequence })
  assert.deepEqual(
    after.devices.map(({ device, groups, labels }) => ({ device, groups, labels })),
    [{ device, groups: ['a', 'b'], labels: { site: 'north' } }],
  )
  const audited = await services.db.sql`select 1 from audit_entry where action = 'device.updated'`
  assert.equal(audited.length, 2)
  await services.db.sql`update device set revoked_at = now() where id = ${device}`
  await assert.rejects(update({ groups: [] }), { code: 'CERTIFICATE_REVOKED' })
})
