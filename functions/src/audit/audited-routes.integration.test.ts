import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { type RouteName, routes } from '@tributary/contracts/routes'
import type { ApiFunction, Route } from '@tributary/contracts/routes/route'
import { systemClock } from '../adapters/clock.ts'
import { deploymentsHandlers } from '../deployments/deployments-handlers.ts'
import { fileCertificateAuthority } from '../fleet/certificate-authority.ts'
import { fleetHandlers } from '../fleet/fleet-handlers.ts'
import { logsHandlers } from '../logs/logs-handlers.ts'
import { modelsHandlers } from '../models/models-handlers.ts'
import { platformHandlers } from '../platform/platform-handlers.ts'
import { regionalNodesHandlers } from '../regional-nodes/regional-nodes-handlers.ts'
import { tasksHandlers } from '../tasks/tasks-handlers.ts'
import { exampleBase, exampleManifest, utf8 } from '../testing/example-model.ts'
import { RoundFederation } from '../testing/round-federation.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { createRequest, createTestAuthority, signRequest } from '../testing/test-certificates.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { declare, put } from '../testing/test-registry.ts'
import { startTestStore } from '../testing/test-store.ts'

type Holder = { id: string; certificatePem: string; key: Awaited<ReturnType<typeof createRequest>>['key'] }
/** One request of a route that succeeds, and what the audit must say of it. */
type Scenario = {
  readonly params?: Record<string, string>
  readonly body?: unknown
  readonly signedBy?: Holder
  readonly action: string
  /** Of the entry; by default the caller. */
  readonly actor?: RegExp
}

/** Routes that take something in and change no state. */
const stateless: ReadonlySet<RouteName> = new Set(['reportNodeLogs'])

const mutating = (Object.entries(routes) as [RouteName, Route][]).filter(
  ([name, { method }]) => method !== 'GET' && !stateless.has(name),
)

suite('invariant I13', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let federation: RoundFederation
  let call: (name: RouteName, scenario: Omit<Scenario, 'action'>) => Promise<{ status: number; body: never }>

  before(async () => {
    db = resources.use(await startTestDatabase())
    const { store } = resources.use(await startTestStore())
    const files = resources.use(await createTestAuthority())
    const authority = fileCertificateAuthority(files.config, systemClock)
    federation = await RoundFederation.begin(db, store, { north: { trainers: 2 } })
    await federation.comeUp()
    const context = { ...testParts(db.database), ...federation.context, authority }
    const options = { database: db.database, authorityPem: files.pem }
    const apis: Partial<Record<ApiFunction, ReturnType<typeof testApi>>> = {
      tasks: testApi('tasks', tasksHandlers(context), options),
      logs: testApi('logs', logsHandlers(context), options),
      models: testApi('models', modelsHandlers(context), options),
      fleet: testApi('fleet', fleetHandlers(context), options),
      deployments: testApi('deployments', deploymentsHandlers(context), options),
      'regional-nodes': testApi('regional-nodes', regionalNodesHandlers(context), options),
      platform: testApi('platform', platformHandlers(context), options),
    }
    call = async (name, { params = {}, body, signedBy }) => {
      const route: Route = routes[name]
      const path = route.path.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => params[parameter] ?? 'missing')
      const text = body === undefined ? '' : JSON.stringify(body)
      const token =
        signedBy === undefined
          ? tokens.admin
          : await signRequest(signedBy.id, { ...signedBy, method: route.method, path, body: text })
      const api = apis[route.function]
      assert.ok(api)
      const key = route.idempotent ? { key: randomUUID() } : { key: null }
      const sent = body === undefined ? {} : { body: text }
      const answer = await api(route.method, path, { token, ...key, ...sent })
      assert.equal(answer.status, route.status, `${name}: ${JSON.stringify(answer.body)}`)
      return answer as never
    }
  })
  after(() => resources.disposeAsync())

  // biome-ignore lint/suspicious/noExplicitAny: answers of every route
  const done = async (name: RouteName, scenario: Omit<Scenario, 'action'> = {}): Promise<any> =>
    (await call(name, scenario)).body
  const unique = (what: string) => `${what}-${randomUUID().slice(0, 8)}`
  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString()

  const holder = async (name: 'registerNode' | 'registerDevice', fields: Record<string, unknown>): Promise<Holder> => {
    const { csr, key } = await createRequest()
    const { id, certificate } = await done(name, { body: { region: await newRegion(), csr, ...fields } })
    return { id, certificatePem: certificate, key }
  }
  const newRegion = async (): Promise<string> => {
    const region = unique('region')
    await done('createRegion', { body: { region, shardCount: 1 } })
    return region
  }
  const newNode = () => holder('registerNode', { name: unique('node'), hostnames: ['localhost'] })
  const newDevice = () => holder('registerDevice', { label: unique('device') })
  const newCode = async () =>
    done('createEnrolmentCode', { body: { region: await newRegion(), expiresAt: inAnHour() } })
  const taskBody = () => ({
    name: unique('task'),
    model: { model: federation.model, version: federation.version },
    rounds: 1,
    cohort: { dataset: 'mnist' },
  })
  const newTask = async (start: boolean, ...then: RouteName[]) => {
    const { id } = await done('createTask', { body: { ...taskBody(), start } })
    for (const route of then) await done(route, { params: { task: id } })
    return { task: id as string }
  }
  const newModel = async () => ({
    model: (await done('createModel', { body: { name: unique('model') } })).id as string,
  })
  const bundle = { manifest: utf8(JSON.stringify(exampleManifest)), weights: exampleBase() }
  const declared = { manifest: declare(bundle.manifest), weights: declare(bundle.weights) }
  const uploaded = async (model: { model: string }) => {
    const { version, uploads } = await done('createVersion', { params: model, body: declared })
    for (const file of ['manifest', 'weights'] as const) await put(uploads[file], bundle[file])
    return { ...model, version: version as string }
  }
  const ready = async (model: { model: string }) => {
    const params = await uploaded(model)
    await done('finaliseVersion', { params })
    return params
  }
  const aliased = async (times: number) => {
    const model = await newModel()
    const params = { ...model, alias: 'production' }
    for (let left = times; left > 0; left -= 1) {
      await done('setAlias', { params, body: { version: (await ready(model)).version } })
    }
    return params
  }
  const newDeployment = async (...then: RouteName[]) => {
    const { id } = await done('createDeployment', { body: deploymentBody() })
    for (const route of then) await done(route, { params: { deployment: id } })
    return { deployment: id as string }
  }
  const deploymentBody = () => ({
    model: federation.model,
    version: federation.version,
    stages: [
      { share: 0.5, holdSeconds: 60 },
      { share: 1, holdSeconds: 60 },
    ],
  })

  const scenarios: Partial<Record<RouteName, () => Promise<Scenario>>> = {
    createApiKey: async () => ({ body: { name: unique('key'), role: 'viewer' }, action: 'api-key.created' }),
    revokeApiKey: async () => {
      const { id } = await done('createApiKey', { body: { name: unique('key'), role: 'viewer' } })
      return { params: { key: id }, action: 'api-key.revoked' }
    },
    createTask: async () => ({ body: { ...taskBody(), start: false }, action: 'task.created' }),
    editTask: async () => ({
      params: await newTask(false),
      body: { ...taskBody(), start: false },
      action: 'task.edited',
    }),
    deleteTask: async () => ({ params: await newTask(false), action: 'task.deleted' }),
    startTask: async () => ({ params: await newTask(false), action: 'task.queued' }),
    pauseTask: async () => ({ params: await newTask(true), action: 'task.paused' }),
    resumeTask: async () => ({ params: await newTask(true, 'pauseTask'), action: 'task.running' }),
    retryTask: async () => {
      const params = await newTask(true)
      await db.sql`update task set state = 'failed' where id = ${params.task}`
      return { params, action: 'task.queued' }
    },
    cloneTask: async () => ({ params: await newTask(false), body: {}, action: 'task.created' }),
    cancelTask: async () => ({ params: await newTask(true), action: 'task.cancelled' }),
    createModel: async () => ({ body: { name: unique('model') }, action: 'model.created' }),
    updateModel: async () => ({ params: await newModel(), body: { description: 'more' }, action: 'model.changed' }),
    createVersion: async () => ({ params: await newModel(), body: declared, action: 'version.declared' }),
    createStatistics: async () => ({
      params: await newModel(),
      body: { entries: 2 },
      action: 'version.statistics',
    }),
    finaliseVersion: async () => ({ params: await uploaded(await newModel()), action: 'version.finalised' }),
    updateVersion: async () => ({
      params: await ready(await newModel()),
      body: { notes: 'x' },
      action: 'version.noted',
    }),
    deleteVersion: async () => ({ params: await ready(await newModel()), action: 'version.deleted' }),
    setAlias: async () => {
      const version = await ready(await newModel())
      const params = { model: version.model, alias: 'production' }
      return { params, body: { version: version.version }, action: 'alias.promoted' }
    },
    rollBackAlias: async () => ({ params: await aliased(2), body: {}, action: 'alias.rolled-back' }),
    deleteAlias: async () => ({ params: await aliased(1), action: 'alias.deleted' }),
    createRegion: async () => ({ body: { region: unique('region'), shardCount: 1 }, action: 'region.created' }),
    updateRegion: async () => ({
      params: { region: await newRegion() },
      body: { name: 'n' },
      action: 'region.updated',
    }),
    registerNode: async () => {
      const { csr } = await createRequest()
      const body = { region: await newRegion(), csr, name: unique('node'), hostnames: ['localhost'] }
      return { body, action: 'regional-node.registered' }
    },
    renewNodeCertificate: async () => {
      const signedBy = await newNode()
      const body = { csr: (await createRequest()).csr }
      return { params: { node: signedBy.id }, body, signedBy, action: 'regional-node.certificate-renewed' }
    },
    revokeNode: async () => ({ params: { node: (await newNode()).id }, action: 'regional-node.revoked' }),
    registerDevice: async () => {
      const { csr } = await createRequest()
      return { body: { region: await newRegion(), csr, label: unique('device') }, action: 'device.registered' }
    },
    revokeDevice: async () => ({ params: { device: (await newDevice()).id }, action: 'device.revoked' }),
    updateDevice: async () => ({
      params: { device: (await newDevice()).id },
      body: { groups: ['lab'] },
      action: 'device.updated',
    }),
    sendDeviceCommand: async () => {
      const [device] = federation.devices
      await db.sql`
        insert into device_presence (device, node, boot, region, shard, epoch, online, seen_at, agent_version, frameworks,
          dataset_names, datasets, conditions)
        select ${device?.id ?? ''}, n.id, n.boot, n.region, s.shard, s.epoch, true, now(), '1', '{}', '{}', '[]', '{}'
        from regional_node n join region_shard s on s.node = n.id where n.region = 'north' limit 1
        on conflict do nothing`
      return { params: { device: device?.id ?? '' }, body: { kind: 'check-in' }, action: 'device.command-sent' }
    },
    enrolDevice: async () => {
      const { code } = await newCode()
      return { body: { code, csr: (await createRequest()).csr }, action: 'device.enrolled', actor: /^enrolment-code:/ }
    },
    renewDeviceCertificate: async () => {
      const signedBy = await newDevice()
      const body = { csr: (await createRequest()).csr }
      return { params: { device: signedBy.id }, body, signedBy, action: 'device.certificate-renewed' }
    },
    createEnrolmentCode: async () => ({
      body: { region: await newRegion(), expiresAt: inAnHour() },
      action: 'enrolment-code.created',
    }),
    revokeEnrolmentCode: async () => ({ params: { code: (await newCode()).id }, action: 'enrolment-code.revoked' }),
    createDeployment: async () => ({ body: deploymentBody(), action: 'deployment.created' }),
    pauseDeployment: async () => ({ params: await newDeployment(), action: 'deployment.paused' }),
    resumeDeployment: async () => ({ params: await newDeployment('pauseDeployment'), action: 'deployment.resumed' }),
    advanceDeployment: async () => ({ params: await newDeployment(), action: 'deployment.advanced' }),
    completeDeployment: async () => ({
      params: await newDeployment('advanceDeployment'),
      action: 'deployment.released',
    }),
    rollBackDeployment: async () => ({ params: await newDeployment(), action: 'deployment.rolled-back' }),
    reportNodeStatus: async () => {
      const signedBy = await newNode()
      const body = {
        nodeVersion: '0.1.0',
        endpoint: 'localhost:7000',
        boot: signedBy.id,
        draining: false,
        shards: [],
        progress: [],
        holding: [],
        holdingEvaluations: [],
        directorySequence: 0,
        load: { rssBytes: 1, connections: 1 },
      }
      return { params: { node: signedBy.id }, body, signedBy, action: 'leases.taken' }
    },
  }

  const newestEntry = async (): Promise<number> =>
    (await db.sql<{ newest: number }[]>`select coalesce(max(sequence), 0)::integer as newest from audit_entry`)[0]
      ?.newest ?? 0

  test('every route that changes something has a request here', () => {
    assert.deepEqual(new Set(Object.keys(scenarios)), new Set(mutating.map(([name]) => name)))
  })

  for (const [name] of mutating) {
    test(`${name} leaves its entry, with who did it`, async () => {
      const scenario = await scenarios[name]?.()
      assert.ok(scenario, `add a request of ${name} to the scenarios`)
      const before = await newestEntry()
      await done(name, scenario)
      const entries = await db.sql<{ action: string; actor: string; subject: string }[]>`
        select action, actor, subject from audit_entry where sequence > ${before} order by sequence`
      const entry = entries.find(({ action }) => action === scenario.action)
      assert.ok(entry, `${scenario.action} is not in ${JSON.stringify(entries)}`)
      const { signedBy, actor } = scenario
      const kind = name.includes('Node') ? 'regional-node' : 'device'
      if (actor !== undefined) assert.match(entry.actor, actor)
      else assert.equal(entry.actor, signedBy === undefined ? 'token:admin' : `${kind}:${signedBy.id}`)
    })
  }

  test('and the chain of all that verifies', async () => {
    const { valid, to } = await done('verifyAudit')
    assert.deepEqual([valid, to], [true, await newestEntry()])
  })
})
