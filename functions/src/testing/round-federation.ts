import { createHash } from 'node:crypto'
import { type MessageData, type MessageType, makeMessage } from '@tributary/contracts/envelope'
import { type CentralEvents, centralEvents } from '@tributary/contracts/events'
import type { AttemptRef } from '@tributary/contracts/ids'
import { NodeStatusAnswer, type NodeStatusRequest } from '@tributary/contracts/node-status'
import type { Participation } from '@tributary/contracts/participation'
import type { MetricSums, RoundDescriptor } from '@tributary/contracts/round'
import type { RouteName } from '@tributary/contracts/routes'
import { CreateTask, TaskDetail, type TaskView } from '@tributary/contracts/tasks'
import { v7 } from 'uuid'
import { systemClock } from '../adapters/clock.ts'
import { uuidV7Ids } from '../adapters/ids.ts'
import type { ObjectStore } from '../adapters/object-store.ts'
import { createAudit } from '../audit/audit.ts'
import type { Context } from '../context.ts'
import { Database } from '../database/database.ts'
import { centralEventsHandler } from '../events/central-events.ts'
import type { RouteRequest, TransactionalHandler } from '../http/handler.ts'
import { createLog } from '../log.ts'
import { mergeHandler } from '../merge/merge-handler.ts'
import { noMetrics } from '../metrics/metrics.ts'
import { createOutbox } from '../outbox/outbox.ts'
import { reportNodeStatus } from '../regional-nodes/report-node-status.ts'
import { cancelTask } from '../tasks/cancel-task.ts'
import { createTask } from '../tasks/create-task.ts'
import { getTask } from '../tasks/get-task.ts'
import { exampleBase, exampleManifest, utf8 } from './example-model.ts'
import type { TestDatabase } from './test-database.ts'

export type Enrolment = { readonly trainers: number; readonly evaluators?: number; readonly shards?: number }
export type TestNode = { readonly id: string; readonly region: string; epochs: Map<number, number> }
export type TestDevice = { readonly id: string; readonly region: string; readonly kind: 'trainer' | 'evaluator' }

/** What a shard reports; region, shard and epoch are the plan's unless given. */
export type ShardResult = {
  readonly sum: Uint8Array | null
  readonly weight: number
  readonly accepted: number
  readonly empty?: number
  readonly epoch?: number
  readonly metrics?: MetricSums
  readonly lines?: readonly Participation[]
}

const jsonLines = (lines: readonly unknown[]): Uint8Array =>
  utf8(lines.map(line => `${JSON.stringify(line)}\n`).join(''))
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/**
 * A control plane on a real database and object store, with nodes and devices that are rows, and whose part a test plays.
 * Functions that would be started by Invoke are noted in `merges` and run by the test.
 */
export class RoundFederation {
  readonly db: TestDatabase
  readonly context: Context
  readonly model = v7()
  readonly version = v7()
  readonly merges: AttemptRef[] = []
  readonly nodes: TestNode[] = []
  readonly devices: TestDevice[] = []

  private constructor(db: TestDatabase, store: ObjectStore) {
    this.db = db
    this.context = {
      database: db.database,
      store,
      cache: {
        get: async () => null,
        set: async () => undefined,
        add: async () => null,
        addIfAbsent: async () => null,
        ready: async () => undefined,
      },
      outbox: createOutbox({ ids: uuidV7Ids, clock: systemClock, wakeRelay: async () => undefined }),
      audit: createAudit(systemClock),
      clock: systemClock,
      ids: uuidV7Ids,
      log: createLog('silent', 'test'),
      metrics: noMetrics,
      startMerge: async ref => void this.merges.push(ref),
      startVersionJob: async () => undefined,
      wakeRelay: async () => undefined,
    }
  }

  /** Empties the database and fills it with one ready model version, regions, nodes and devices. */
  static async begin(
    db: TestDatabase,
    store: ObjectStore,
    regions: Readonly<Record<string, Enrolment>>,
  ): Promise<RoundFederation> {
    const { sql } = db
    await sql`truncate region, model, task, outbox, inbox, audit_entry, parked_message, log_entry cascade`
    const federation = new RoundFederation(db, store)
    await federation.#addModel()
    for (const [region, enrolment] of Object.entries(regions)) await federation.#addRegion(region, enrolment)
    return federation
  }

  async #addModel(): Promise<void> {
    const { sql } = this.db
    const { store } = this.context
    const manifest = utf8(JSON.stringify(exampleManifest))
    const prefix = `models/${this.model}/versions/${this.version}`
    const weights = exampleBase()
    await store.put(`${prefix}/weights.safetensors`, weights)
    await store.put(`${prefix}/manifest.json`, manifest)
    await sql`insert into model (id, name, created_by) values (${this.model}, ${`model ${this.model}`}, 'test')`
    await sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, graph_key, graph_sha256, graph_bytes, created_by)
      values (${this.version}, ${this.model}, 0, 'ready', ${`${prefix}/weights.safetensors`}, ${sha256(weights)},
        ${weights.length}, ${`${prefix}/manifest.json`}, ${sha256(manifest)}, ${manifest.length},
        ${`${prefix}/graph.onnx`}, ${'0'.repeat(64)}, 1, 'test')`
  }

  async #addRegion(region: string, { trainers, evaluators = 0, shards = 1 }: Enrolment): Promise<void> {
    const { sql } = this.db
    await sql`insert into region (region, name, shard_count) values (${region}, ${region}, ${shards})`
    for (let shard = 0; shard < shards; shard += 1) {
      await sql`insert into region_shard (region, shard) values (${region}, ${shard})`
    }
    await this.addNode(region)
    for (let index = 0; index < trainers + evaluators; index += 1) {
      const id = v7()
      const kind = index < trainers ? 'trainer' : 'evaluator'
      const label = `${region}-${index}`
      await sql`
        insert into device (id, region, shard_hash, label, kind, certificate_sha256, certificate_expires_at)
        values (${id}, ${region}, ${createHash('sha256').update(id).digest()}, ${label}, ${kind}, ${sha256(utf8(id))},
          now() + interval '1 day')`
      this.devices.push({ id, region, kind })
    }
  }

  async addNode(region: string): Promise<TestNode> {
    const node: TestNode = { id: v7(), region, epochs: new Map() }
    const name = `node-${this.nodes.length}`
    await this.db.sql`
      insert into regional_node (id, region, name, certificate_sha256, certificate_expires_at)
      values (${node.id}, ${region}, ${name}, ${'0'.repeat(64)}, now() + interval '1 day')`
    this.nodes.push(node)
    return node
  }

  /** Contexts with a connection each, as instances of functions that run at the same time. */
  ownConnections(count: number): AsyncDisposable & { readonly contexts: readonly Context[] } {
    const { url } = this.db
    const { log } = this.context
    const databases = Array.from({ length: count }, (_, index) => new Database({ url, log, name: `test-${index}` }))
    return {
      contexts: databases.map(database => ({ ...this.context, database })),
      async [Symbol.asyncDispose]() {
        await Promise.all(databases.map(database => database[Symbol.asyncDispose]()))
      },
    }
  }

  nodeOf(region: string): TestNode {
    const node = this.nodes.find(candidate => candidate.region === region)
    if (node === undefined) throw new Error(`no node in ${region}`)
    return node
  }

  /** One status call, as a node makes it: it lists the shards whose log it has. */
  async status(
    node: TestNode,
    fields: Partial<NodeStatusRequest> = {},
    context = this.context,
  ): Promise<NodeStatusAnswer> {
    const online = (kind: TestDevice['kind']) =>
      this.devices.filter(device => device.region === node.region && device.kind === kind).length
    const answer = NodeStatusAnswer.parse(
      await reportNodeStatus(context)(
        this.request<'reportNodeStatus'>({
          params: { node: node.id },
          query: undefined,
          body: {
            nodeVersion: '0.1.0',
            endpoint: 'localhost:7000',
            boot: v7(),
            draining: false,
            shards: [...node.epochs].map(([shard, epoch]) => ({
              shard,
              epoch,
              devicesOnline: online('trainer'),
              evaluatorsOnline: online('evaluator'),
            })),
            progress: [],
            holding: [],
            holdingEvaluations: [],
            directorySequence: 0,
            load: { rssBytes: 1, connections: 1 },
            ...fields,
          },
        }),
      ),
    )
    node.epochs = new Map(answer.leases.map(({ shard, epoch }) => [shard, epoch]))
    return answer
  }

  /** Every node takes its leases, then reports who is online. */
  async comeUp(): Promise<void> {
    for (const node of this.nodes) await this.status(node)
    for (const node of this.nodes) await this.status(node)
  }

  request<Name extends RouteName>(fields: Pick<RouteRequest<Name>, 'params' | 'query' | 'body'>): RouteRequest<Name> {
    return {
      requestId: 'test',
      principal: { kind: 'token', name: 'test', role: 'admin' },
      sourceAddress: '127.0.0.1',
      actor: 'token:test',
      signal: new AbortController().signal,
      log: this.context.log,
      ...fields,
    }
  }

  async createTask(fields: Record<string, unknown> = {}): Promise<TaskView> {
    const body = CreateTask.parse({
      name: 'a task',
      model: { model: this.model },
      rounds: 1,
      cohort: { dataset: 'mnist' },
      ...fields,
    })
    const handler = createTask(this.context)
    const request = this.request<'createTask'>({ params: undefined, query: undefined, body })
    const prepared = await handler.prepare(request)
    return (await this.db.database.transaction(sql => handler.apply(request, sql, prepared))) as TaskView
  }

  async cancelTask(task: string, context = this.context): Promise<TaskView> {
    const handler = cancelTask(context) as TransactionalHandler<'cancelTask'>
    const request = this.request<'cancelTask'>({ params: { task }, query: undefined, body: undefined })
    return (await context.database.transaction(sql => handler(request, sql))) as TaskView
  }

  async getTask(task: string): Promise<TaskDetail> {
    const request = this.request<'getTask'>({ params: { task }, query: undefined, body: undefined })
    return TaskDetail.parse(await getTask(this.context)(request))
  }

  event<Type extends MessageType<CentralEvents>>(type: Type, data: MessageData<CentralEvents, Type>): string {
    return JSON.stringify(makeMessage(centralEvents, type, data, { id: v7(), source: 'test', time: new Date() }))
  }

  /** Hands messages to the consumer in one batch, as Lambda's RabbitMQ source does. */
  deliver(...messages: readonly string[]): Promise<void> {
    return this.deliverTo(this.context, messages)
  }

  deliverTo(context: Context, messages: readonly string[]): Promise<void> {
    const batch = messages.map(message => ({ data: Buffer.from(message).toString('base64'), redelivered: false }))
    return centralEventsHandler(context)({ rmqMessagesByQueue: { 'central.events::/': batch } })
  }

  /** Writes what a shard leaves in object storage, and makes the event that says so. */
  async summed(
    descriptor: RoundDescriptor,
    { sum, weight, accepted, lines = [], ...fields }: ShardResult,
  ): Promise<string> {
    const [plan] = descriptor.shards
    if (plan === undefined) throw new Error('the descriptor has no shard')
    const { task, round, attempt } = descriptor
    const { region, shard, epoch } = { ...plan, ...fields }
    const { store } = this.context
    const prefix = `sums/${task}/${round}-${attempt}/${region}-${shard}-${epoch}`
    const list = {
      objectKey: `${prefix}.participation.jsonl`,
      ...(await store.put(`${prefix}.participation.jsonl`, jsonLines(lines))),
    }
    const ref = sum && { objectKey: `${prefix}.safetensors`, ...(await store.put(`${prefix}.safetensors`, sum)) }
    return this.event('shard.summed', {
      task,
      round,
      attempt,
      region,
      shard,
      epoch,
      node: this.nodeOf(region).id,
      sum: ref,
      participation: list,
      weight: String(weight),
      accepted,
      selected: plan.select,
      empty: fields.empty ?? 0,
      metrics: fields.metrics ?? {},
    })
  }

  merge(ref: AttemptRef, context = this.context): Promise<unknown> {
    const signal = AbortSignal.timeout(30_000)
    return mergeHandler(context)(ref, { requestId: 'test', signal, remainingMillis: () => 30_000 })
  }

  /** Runs the merges that were started, until no new ones come. */
  async runMerges(): Promise<void> {
    for (let ref = this.merges.shift(); ref !== undefined; ref = this.merges.shift()) await this.merge(ref)
  }

  /** The shards of an attempt as the outbox announced them to the regions. */
  async commands(type: string): Promise<{ region: string; data: Record<string, unknown> }[]> {
    const rows = await this.db.sql<{ key: string; body: { data: Record<string, unknown> } }[]>`
      select routing_key as key, body from outbox where body ->> 'type' = ${type} order by id`
    return rows.map(({ key, body }) => ({ region: key.replace('region.', ''), data: body.data }))
  }
}
