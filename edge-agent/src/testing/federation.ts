import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import {
  type EvaluationWork,
  EvaluationWorkSchema,
  type TrainingWork,
  TrainingWorkSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import type { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { type Logger, pino } from 'pino'
import { Agent } from '../agent/agent.ts'
import { Datasets } from '../data/datasets.ts'
import { Deployments } from '../deployments/deployments.ts'
import { Inference } from '../inference/inference.ts'
import type { InferenceSettings } from '../inference/settings.ts'
import { PolicyFile } from '../policy/policy-file.ts'
import { PolicyGate } from '../policy/policy-gate.ts'
import { PythonTrainers } from '../python-worker/python-trainers.ts'
import { LocalTensors, localTensorsFolder } from '../state/local-tensors.ts'
import { ObjectCache } from '../state/object-cache.ts'
import { Outbox } from '../state/outbox.ts'
import { UpdateStore } from '../state/update-store.ts'
import { Ledger } from '../status/ledger.ts'
import { OnnxTrainer } from '../training/onnx-trainer.ts'
import { ClockWatch } from '../transport/clock-watch.ts'
import { Endpoints } from '../transport/endpoints.ts'
import type { Identity } from '../transport/identity.ts'
import { type CallTimes, defaultCallTimes } from '../transport/node-client.ts'
import type { TestAuthority } from './certificates.ts'
import { type Stripes, writeStripes } from './idx-files.ts'
import type { TestNode } from './test-node.ts'

export const device = '0190b5a0-0000-7000-8000-0000000000d1'
export const task = '0190b5a0-0000-7000-8000-0000000000f1'
export const attempt = { task, round: 1, attempt: 1 }

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
export const infoOf = (bytes: Uint8Array) => ({ sha256: sha256(bytes), bytes: BigInt(bytes.length) })

/** What central would have stored of an ONNX model that classifies. */
export type Bundle = { readonly weights: Uint8Array; readonly manifest: Uint8Array; readonly graph: Uint8Array }

export const bundleOf = (file: Uint8Array): Bundle => {
  const model = readModel(file, { maxBytes: 2 ** 24 })
  const { tensors, inputs, outputs } = extractWeights(model)
  const ports = (values: typeof inputs) =>
    values.map(({ name, shape }) => ({
      name,
      dtype: 'F32' as const,
      shape: shape.map(size => (typeof size === 'number' ? size : null)),
    }))
  const manifest: Manifest = {
    format: 'tributary.manifest/1',
    tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape], policy: 'average' })),
    inputs: ports(inputs),
    outputs: ports(outputs),
    loss: 'softmax-cross-entropy',
    labelKind: 'class-index',
  }
  return {
    weights: encodeSafetensors(tensors),
    manifest: Buffer.from(JSON.stringify(manifest)),
    graph: writeModel(withoutWeights(model)),
  }
}

/** McMahan's 2NN: 0.8 MB of weights. */
export const bundle = bundleOf(mcmahan2nn(1))

/** Puts the model, and other objects, on a node. */
export const publishBundle = (node: TestNode, ...others: Uint8Array[]): void => publish(node, bundle, ...others)

export const publish = (node: TestNode, model: Bundle, ...others: Uint8Array[]): void => {
  for (const bytes of [...Object.values(model), ...others]) node.objects.set(sha256(bytes), bytes)
}

const trainer = {
  framework: 'onnx',
  localEpochs: 1,
  batchSize: 10,
  learningRate: 0.1,
  optimizer: 'sgd',
  loss: 'softmax-cross-entropy',
}

/** Training work as a node offers it. */
export const trainingWork = (
  settings: { round?: number; localEpochs?: number; batchSize?: number; dataset?: string; model?: Bundle } = {},
): TrainingWork =>
  create(TrainingWorkSchema, {
    attempt: { ...attempt, round: settings.round ?? 1 },
    token: `token|${device}`,
    dataset: settings.dataset ?? 'stripes',
    base: infoOf((settings.model ?? bundle).weights),
    manifest: infoOf((settings.model ?? bundle).manifest),
    graph: infoOf((settings.model ?? bundle).graph),
    trainer: { ...trainer, localEpochs: settings.localEpochs ?? 1, batchSize: settings.batchSize ?? 10 },
    sum: { bound: 1024, weightCap: 1000, clippingNorm: 0, weighting: 'examples' },
    seed: '00112233445566778899aabbccddeeff',
    maxUpdateBytes: 20_000_000n,
    deadlineUnixMillis: BigInt(Date.now() + 600_000),
  })

/** Evaluation work as a node offers it. */
export const evaluationWork = (
  weights: Uint8Array = bundle.weights,
  settings: { dataset?: string; model?: Bundle } = {},
): EvaluationWork =>
  create(EvaluationWorkSchema, {
    evaluation: '0190b5a0-0000-7000-8000-0000000000e1',
    token: `token|${device}`,
    dataset: settings.dataset ?? 'stripes',
    weights: infoOf(weights),
    manifest: infoOf((settings.model ?? bundle).manifest),
    graph: infoOf((settings.model ?? bundle).graph),
    trainer,
  })

export const identityOf = async (authority: TestAuthority): Promise<Identity> => {
  const pair = await authority.issue(device, 'device')
  return {
    device,
    certificate: Buffer.from(pair.certificate),
    key: Buffer.from(pair.key),
    authority: Buffer.from(authority.certificate),
  }
}

/** A folder that goes when the test does. */
export const temporaryFolder = async (): Promise<AsyncDisposable & { path: string }> => {
  const path = await mkdtemp(join(tmpdir(), 'tributary-agent-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export type RunningAgent = AsyncDisposable & {
  readonly agent: Agent
  readonly updates: UpdateStore
  readonly deployments: Deployments
  readonly local: LocalTensors
  readonly inference: Inference
  readonly endpoints: Endpoints
  readonly stateDir: string
}

export type AgentSettings = {
  folder: string
  examples?: number
  heldOut?: boolean
  data?: Stripes
  /** Whether the folder has its data already. */
  keepData?: boolean
  log?: Logger
  times?: CallTimes
  deployedBytes?: number
  inference?: Partial<InferenceSettings>
  /** That of several agents, one after the other; whoever made it ends it. */
  trainer?: OnnxTrainer
}

/** As config.ts has them where nothing is set: nothing is served. */
export const inferenceDefaults: InferenceSettings = {
  address: undefined,
  tokenFile: undefined,
  maxBodyBytes: 2 ** 24,
  maxRequests: 64,
  maxQueue: 128,
  maxBatch: 16,
  maxWaitMillis: 0,
  deadlineSeconds: 30,
  idleSeconds: 300,
  threads: 1,
}

/** Mains, a free network, nobody else at work. */
export const quietSituation = async () => ({
  now: new Date(),
  onBattery: false,
  metered: false,
  load: 0,
  bytesToday: { down: 0, up: 0 },
})

/** A whole agent in this process, without its line to the broker; stopped when disposed. */
export const startAgent = async (
  identity: Identity,
  endpoints: readonly string[],
  {
    folder,
    examples = 20,
    heldOut = false,
    data = {},
    keepData = false,
    log = pino({ level: 'silent' }),
    times = defaultCallTimes,
    deployedBytes = 2 ** 30,
    inference: chosen = {},
    trainer: shared,
  }: AgentSettings,
): Promise<RunningAgent> => {
  const dataDir = join(folder, 'data')
  const stateDir = join(folder, 'state')
  await mkdir(dataDir, { recursive: true })
  if (!keepData) await writeStripes(dataDir, examples, heldOut, data)
  const updates = await UpdateStore.open(join(stateDir, 'updates'), { maxUpdates: 8, maxBytes: 2 ** 30 })
  const ends = new Endpoints(endpoints, identity, times)
  const policy = new PolicyGate({ file: new PolicyFile(dataDir), situation: quietSituation, log })
  const onnx = shared ?? new OnnxTrainer({ limits: () => policy.limits })
  const maxModelBytes = 2 ** 26
  const datasets = await Datasets.open(dataDir, { maxBytes: 2 ** 30, cacheDir: join(stateDir, 'datasets') })
  const local = await LocalTensors.open(localTensorsFolder(stateDir), 2 ** 30)
  const inference = new Inference({ settings: { ...inferenceDefaults, ...chosen }, dataDir, datasets, log })
  const deployments = await Deployments.open({
    folder: join(stateDir, 'deployments'),
    maxBytes: deployedBytes,
    maxModelBytes,
    endpoints: ends,
    versions: inference.models,
    personal: { datasets, trainer: onnx, local, policy },
    policy,
    log,
  })
  await inference.serve(deployments)
  const outbox = await Outbox.open(join(stateDir, 'outbox.json'))
  const ledger = new Ledger(stateDir, log)
  const agent = new Agent({
    device: identity.device,
    endpoints: ends,
    clock: new ClockWatch({ centralUrl: undefined, log }),
    objects: await ObjectCache.open(join(stateDir, 'objects'), 2 ** 30),
    updates,
    local,
    deployments,
    datasets,
    trainer: onnx,
    python: await PythonTrainers.open({ dataDir, folder: join(stateDir, 'python'), local, log }),
    conditions: async () => ['unmetered'],
    policy,
    outbox,
    ledger,
    log,
    maxModelBytes,
  })
  const controller = new AbortController()
  const running = agent.run(controller.signal)
  return {
    agent,
    updates,
    deployments,
    local,
    inference,
    endpoints: ends,
    stateDir,
    [Symbol.asyncDispose]: async () => {
      controller.abort(new Error('the test is over'))
      await running
      await inference[Symbol.asyncDispose]()
      if (shared === undefined) await onnx[Symbol.asyncDispose]()
      ends[Symbol.dispose]()
      await outbox[Symbol.asyncDispose]()
      ledger[Symbol.dispose]()
    },
  }
}

export const freshToken = (): string => `${randomBytes(8).toString('hex')}|${device}`
