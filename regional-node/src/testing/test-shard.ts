import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { MessageData } from '@tributary/contracts/envelope'
import type { CentralEvents, ShardSummed } from '@tributary/contracts/events'
import { Codec, UpdateHeaderSchema, UpdateKind, type VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { EvaluationDescriptor, RoundDescriptor } from '@tributary/contracts/round'
import { shardOf } from '@tributary/learning/sharding'
import { v7 as uuidv7 } from 'uuid'
import { type AdmissionContext, admitUpdate } from '../attempt/admission.ts'
import type { AttemptContext } from '../attempt/attempt-context.ts'
import { type OpenedShard, ShardOpener } from '../attempt/open-shard.ts'
import { SettledMemory } from '../attempt/settled-memory.ts'
import { ShardAttempts } from '../attempt/shard-attempts.ts'
import { ShardFolders } from '../attempt/shard-folders.ts'
import { UploadSlots } from '../attempt/upload-slots.ts'
import { LeaseTable } from '../central/lease-table.ts'
import { DeviceDirectory, type KnownDevice } from '../devices/device-directory.ts'
import { Presence } from '../devices/presence.ts'
import { ShardEvaluations } from '../evaluation/shard-evaluations.ts'
import { trainingWork } from '../grpc/assignments.ts'
import { createNodeMetrics } from '../health/node-metrics.ts'
import type { NodeIdentity } from '../identity/node-identity.ts'
import { Receipts } from '../identity/receipts.ts'
import { loadTokenKey, WorkTokens } from '../identity/work-tokens.ts'
import { Journal } from '../journal/journal.ts'
import { createLogger } from '../journal/logger.ts'
import { UpdateWorkers } from '../kernels/update-workers.ts'
import { Budget } from '../log/budget.ts'
import { DiskRoom } from '../log/disk-room.ts'
import { LogKey } from '../log/log-key.ts'
import { ObjectCache } from '../storage/object-cache.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { ManualClock, until } from './manual-clock.ts'
import { MemoryObjectStore } from './memory-object-store.ts'
import { sampleObjects, sha256Of } from './sample-round.ts'
import { testIdentity } from './test-identity.ts'

type EvaluationSummed = MessageData<CentralEvents, 'evaluation.summed'>
type ShardFailed = MessageData<CentralEvents, 'shard.failed'>

export type TestShardOptions = {
  uploadBytes?: number
  spoolBytes?: number
  foldUpdates?: number
  sumMemoryBytes?: number
  /** Devices that train; one more evaluates. */
  trainers?: number
  /** Where it lives; left out: in a temporary folder, which goes with it. */
  home?: { readonly folder: string; readonly logKey: string; readonly store: ObjectStore }
  onEvent?: (event: ShardSummed) => void
}

/** Fixed ids, so that the order of devices is known. */
const deviceId = (number: number): string => `01900000-0000-7000-8000-${`${number}`.padStart(12, '0')}`

/**
 * The inside of a node with one shard and its lease, on a manual clock, with object storage in memory; everything else is the
 * real thing. `restart` is what a crash leaves: the folder.
 */
export class TestShard {
  readonly clock = new ManualClock()
  /** Object storage in memory, where the shard has no home of its own. */
  readonly store = new MemoryObjectStore()
  readonly events: ShardSummed[] = []
  readonly evaluated: EvaluationSummed[] = []
  readonly failures: ShardFailed[] = []
  readonly notices: { device: string; kind: string }[] = []
  readonly devices: KnownDevice[] = []
  statusChanges = 0
  logKey = randomBytes(32).toString('base64')
  readonly #folder: string
  /** The folder stays, for the next process. */
  readonly #isHome: boolean
  readonly #node = uuidv7()
  readonly #workers = UpdateWorkers.open({ threads: 1 })
  #identity: NodeIdentity | undefined
  attempts!: ShardAttempts
  evaluations!: ShardEvaluations
  admission!: AdmissionContext
  leases!: LeaseTable
  presence!: Presence
  folders!: ShardFolders
  journal!: Journal
  opener!: ShardOpener
  spoolRoom!: Budget
  /** What the lease found at the last restart. */
  reopened: OpenedShard | undefined

  private constructor(folder: string, isHome: boolean, trainers = 4) {
    this.#folder = folder
    this.#isHome = isHome
    const { manifest, base } = sampleObjects()
    this.store.objects.set(manifest.ref.objectKey, manifest.bytes)
    this.store.objects.set(base.ref.objectKey, base.bytes)
    for (let number = 1; number <= trainers + 1; number += 1) {
      const device = deviceId(number)
      const certificateSha256 = sha256Of(Buffer.from(device))
      const label = `device-${number}`
      const kind = number > trainers ? 'evaluator' : 'trainer'
      this.devices.push({ device, label, kind, groups: [], certificateSha256, revoked: false, shard: 0 })
    }
  }

  static async open(options: TestShardOptions = {}): Promise<TestShard> {
    const folder = options.home?.folder ?? (await mkdtemp(join(tmpdir(), 'tributary-shard-')))
    const shard = new TestShard(folder, options.home !== undefined, options.trainers)
    if (options.home !== undefined) shard.logKey = options.home.logKey
    await shard.#start(options)
    return shard
  }

  device(number: number): KnownDevice {
    return this.devices[number - 1] as KnownDevice
  }

  online(number: number, examples = 100): void {
    const datasets = new Map([['digits', { examples, heldOut: false }]])
    this.presence.checkedIn(this.device(number).device, {
      datasets,
      frameworks: new Set(['onnx']),
      conditions: new Set(),
      agentVersion: '0.1.0',
      certificateSha256: this.device(number).certificateSha256,
    })
  }

  lease(epoch = 1): void {
    const leases = [{ shard: 0, epoch, leaseSeconds: 20, logKey: this.logKey }]
    this.leases.renew({ leases, otherShards: [] }, this.clock.monotonic())
  }

  /** Takes an attempt up and waits until devices can be served. */
  async opened(descriptor: RoundDescriptor) {
    await this.attempts.reconcile(descriptor)
    return until(() => {
      const attempt = this.attempts.find(descriptor, 0)
      return attempt?.isCollecting && attempt
    })
  }

  /** Takes an evaluation up and waits until evaluators can be served. */
  async openedEvaluation(descriptor: EvaluationDescriptor, number: number) {
    await this.evaluations.reconcile(descriptor)
    return until(() => {
      const evaluation = this.evaluations.find(descriptor.evaluation, 0)
      return evaluation?.offers(this.device(number)) && evaluation
    })
  }

  /** The header of an update of a device, with a token minted for it. */
  async header(
    descriptor: RoundDescriptor,
    number: number,
    body: Uint8Array,
    fields: MessageInitShape<typeof UpdateHeaderSchema> = {},
  ) {
    return create(UpdateHeaderSchema, {
      token: fields.token ?? (await this.#workToken(descriptor, number)),
      kind: UpdateKind.DELTA,
      codec: Codec.NONE,
      baseSha256: descriptor.base.sha256,
      totalBytes: BigInt(body.byteLength),
      sha256: sha256Of(body),
      offset: 0n,
      examples: 3n,
      trainSeconds: 1.5,
      metrics: [{ name: 'loss_q20', value: 5n }],
      ...fields,
    })
  }

  async #workToken(descriptor: RoundDescriptor, number: number): Promise<string> {
    const attempt = await until(() => this.attempts.find(descriptor, 0))
    return `${(await trainingWork(this.admission.tokens, attempt, this.device(number))).token}`
  }

  /** Sends an update as a device would; the verdict's code, error code, tensor and receipt. */
  async push(
    descriptor: RoundDescriptor,
    number: number,
    body: Uint8Array,
    fields: MessageInitShape<typeof UpdateHeaderSchema> = {},
    sent: Iterable<Uint8Array> | AsyncIterable<Uint8Array> = [body],
  ): Promise<{ code: VerdictCode; errorCode: string; tensor: string; receipt: string; receivedBytes: number }> {
    const header = await this.header(descriptor, number, body, fields)
    const { verdict, receivedBytes } = await admitUpdate(
      this.admission,
      this.device(number),
      header,
      async function* () {
        yield* sent
      },
    )
    const { code, errorCode, tensor, receipt } = verdict
    return { code, errorCode, tensor, receipt, receivedBytes }
  }

  summed(): Promise<ShardSummed> {
    return until(() => this.events.at(-1))
  }

  /** Forgets everything that is not on disk; the lease has not come again. */
  async crash(options: TestShardOptions = {}): Promise<void> {
    await this.attempts.close()
    await this.evaluations.close()
    this.events.length = 0
    await this.#start(options)
  }

  /** A crash, after which the lease comes again. */
  async restart(options: TestShardOptions = {}): Promise<void> {
    await this.crash(options)
    await this.takeLease(1)
    if (this.reopened !== 'opened') return
    this.lease()
    this.attempts.leased(0)
    this.evaluations.leased(0)
  }

  /** Opens the shard's data as a lease with the log key does. */
  async takeLease(epoch: number): Promise<void> {
    const opened = await this.opener.open({ shard: 0, epoch, leaseSeconds: 20, logKey: this.logKey })
    this.reopened = opened === 'opening' ? undefined : opened
    if (this.reopened === 'new') this.lease(epoch)
  }

  /** A token for a device's part, whatever the node keeps of the attempt. */
  tokenOf({ task, round, attempt, base }: RoundDescriptor, number: number, epoch = 1): Promise<string> {
    const { device, certificateSha256 } = this.device(number)
    const exp = Math.floor(this.clock.now() / 1000) + 60
    const place = { shard: 0, epoch, device, certificateSha256, objects: [], exp }
    return this.admission.tokens.mint({
      work: 'training',
      task,
      round,
      attempt,
      base: base.sha256,
      maxBytes: 1000,
      ...place,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.attempts.close()
    await this.evaluations.close()
    await this.#workers[Symbol.asyncDispose]()
    if (!this.#isHome) await rm(this.#folder, { recursive: true })
  }

  async #start(options: TestShardOptions): Promise<void> {
    const { uploadBytes = 1e9, spoolBytes = 1e9, foldUpdates = 256, sumMemoryBytes = 1e9 } = options
    const { clock } = this
    const store = options.home?.store ?? this.store
    this.#identity ??= await testIdentity(this.#node)
    const identity = this.#identity
    const receipts = new Receipts(identity)
    this.leases = new LeaseTable(clock.monotonic)
    this.lease()
    const directory = new DeviceDirectory(() => {})
    directory.apply({
      shardCount: 1,
      directory: {
        devices: this.devices.map(({ shard: _, ...device }, sequence) => ({ ...device, sequence: sequence + 1 })),
        sequence: this.devices.length,
        complete: true,
      },
    })
    if (this.devices.some(({ device, shard }) => shardOf(device, 1) !== shard)) throw new Error('one shard')
    this.presence = new Presence(
      clock.monotonic,
      () => true,
      () => {},
    )
    this.journal = new Journal(createLogger('silent', this.#node), clock.now)
    const room = new DiskRoom(clock.monotonic, () => {})
    const context: AttemptContext = {
      clock,
      identity,
      receipts,
      leases: this.leases,
      directory,
      presence: this.presence,
      cache: await ObjectCache.open(join(this.#folder, 'cache'), store, 1e9),
      store,
      workers: this.#workers,
      spoolRoom: new Budget(spoolBytes),
      room,
      sumMemory: new Budget(sumMemoryBytes),
      limits: { fold: { updates: foldUpdates, bytes: 1e9 }, reservedBytes: 0 },
      publish: async (type, data) => {
        if (type === 'shard.summed') {
          this.events.push(data as ShardSummed)
          options.onEvent?.(data as ShardSummed)
        }
        if (type === 'shard.failed') this.failures.push(data as ShardFailed)
        if (type === 'evaluation.summed') this.evaluated.push(data as EvaluationSummed)
      },
      notify: (devices, { kind }) => {
        for (const device of devices) this.notices.push({ device, kind })
      },
      statusChanged: () => {
        this.statusChanges += 1
      },
      journal: this.journal,
      metrics: createNodeMetrics(),
      onShardLost: (place, error) => {
        this.leases.drop(place.shard)
        this.opener.lose(place, error)
      },
      onDiskFailure: error => {
        throw error
      },
    }
    const folders = await ShardFolders.open(join(this.#folder, 'shards'))
    this.folders = folders
    if (folders.epochOf(0) === undefined && options.home === undefined)
      await folders.begin(0, 1, LogKey.parse(this.logKey))
    const settled = new SettledMemory()
    this.spoolRoom = context.spoolRoom
    this.attempts = new ShardAttempts(context, folders, settled)
    this.evaluations = new ShardEvaluations(context, folders)
    const { attempts, evaluations, journal } = this
    this.opener = new ShardOpener({ folders, attempts, evaluations, journal }, clock, () => {
      this.statusChanges += 1
    })
    this.admission = {
      identity,
      receipts,
      tokens: new WorkTokens(await loadTokenKey(this.#folder), clock.now),
      leases: this.leases,
      attempts: this.attempts,
      settled,
      slots: new UploadSlots(),
      uploadBytes: new Budget(uploadBytes),
      uploads: new Budget(8),
      room,
      now: clock.now,
    }
  }
}
