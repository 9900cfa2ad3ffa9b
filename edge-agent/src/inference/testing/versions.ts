import { createHash } from 'node:crypto'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import type { ModelProto } from '@tributary/onnx-train/gen/onnx_pb'
import type { Graph } from '@tributary/onnx-train/graph'
import { modelFromGraph } from '@tributary/onnx-train/graph-to-proto'
import { readModel } from '@tributary/onnx-train/read-model'
import { node } from '@tributary/onnx-train/testing/model-of'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { pino } from 'pino'
import type { DeployedModel } from '../../deployments/deployed-model.ts'
import type { DeployedModels } from '../../deployments/deployed-models.ts'
import type { DeploymentOffer } from '../../deployments/deployment-offer.ts'
import { InferenceServer, type InferenceServerOptions } from '../http/inference-server.ts'
import { InferenceMetrics } from '../inference-metrics.ts'
import type { SampleSet } from '../samples/sample-set.ts'
import { ServedModels, type ServedModelsOptions, type Withdrawals } from '../served-models.ts'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const id = (number: number): string => `0190b5a0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`

/** A forward graph as it is deployed: opset 17, read and checked. */
export const modelOfGraph = (graph: Omit<Graph, 'name'>): ModelProto =>
  readModel(writeModel(modelFromGraph({ ...graph, name: 'test' }, 17)), { maxBytes: 1e8 })

/** y = k · x for rows of two numbers. */
export const times = (k: number) =>
  modelOfGraph({
    inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 2] }],
    constants: new Map([['w', { dtype: 'float32', shape: [2, 2], data: Float32Array.of(k, 0, 0, k) }]]),
    nodes: [node('MatMul', ['x', 'w'], 'y')],
  })

/** Versions whose files are in a folder, deployed and withdrawn by a test instead of a node. */
export class TestDeployments implements DeployedModels, Withdrawals {
  readonly serving = new Map<string, DeployedModel>()
  readonly unhealthyVersions: string[] = []
  readonly damagedVersions: string[] = []
  readonly folder: string
  readonly #listeners = new Set<() => void>()
  #last = 0

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<TestDeployments & AsyncDisposable> {
    const created = new TestDeployments(await mkdtemp(join(tmpdir(), 'tributary-inference-')))
    const dispose = () => rm(created.folder, { recursive: true, force: true })
    return Object.assign(created, { [Symbol.asyncDispose]: dispose })
  }

  fileOf = ({ sha256 }: DeployedModel['weights']): string => join(this.folder, sha256)

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Writes the files of a version. @param name of its model @param graph with other ports than those that can be trained */
  async offer(name: string, model: ModelProto, graph = model): Promise<DeploymentOffer> {
    this.#last += 1
    const write = async (bytes: Uint8Array) => {
      const hash = sha256(bytes)
      await writeFile(join(this.folder, hash), bytes)
      return { sha256: hash, bytes: bytes.length }
    }
    return {
      deployment: id(this.#last),
      revision: 1,
      model: id(0xa00 + Buffer.from(name).reduce((sum, byte) => sum + byte, 0)),
      modelName: name,
      version: id(0xb000 + this.#last),
      groups: [],
      versionNumber: this.#last,
      token: 'token',
      weights: await write(encodeSafetensors(extractWeights(model).tensors)),
      manifest: await write(Buffer.from('{}')),
      graph: await write(writeModel(withoutWeights(graph))),
    }
  }

  /** Puts a version into service. */
  deploy({ token: _, ...deployed }: DeploymentOffer): void {
    this.serving.set(deployed.model, deployed)
    this.#tell()
  }

  /** Gives a file the content of another. */
  spoil(file: DeployedModel['weights'], other: DeployedModel['weights']): Promise<void> {
    return copyFile(this.fileOf(other), this.fileOf(file))
  }

  withdraw(model: string): void {
    this.serving.delete(model)
    this.#tell()
  }

  unhealthy(deployment: string): void {
    this.unhealthyVersions.push(deployment)
  }

  damaged(deployment: string): void {
    this.damagedVersions.push(deployment)
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

const silent = pino({ level: 'silent' })
const noSamples: SampleSet = { check: async () => {} }

export type TestServing = AsyncDisposable & {
  readonly deployments: TestDeployments
  readonly models: ServedModels
  readonly url: string
  readonly port: number
  /** Checks a version and puts it into service. */
  readonly release: (name: string, model: ModelProto, graph?: ModelProto) => Promise<DeploymentOffer>
}

/** Everything between a deployed version and its HTTP port, in this process. */
export const startServing = async (
  options: Partial<ServedModelsOptions> & Partial<InferenceServerOptions> = {},
): Promise<TestServing> => {
  await using stack = new AsyncDisposableStack()
  const deployments = stack.use(await TestDeployments.create())
  const metrics = new InferenceMetrics()
  const models = stack.use(
    new ServedModels({
      serves: true,
      process: { threads: 1, mostRows: 16, stallMillis: 60_000 },
      maxWaitMillis: 0,
      maxQueue: 128,
      idleMillis: 300_000,
      samples: noSamples,
      metrics,
      log: silent,
      ...options,
    }),
  )
  models.follow(deployments, deployments)
  const server = stack.use(
    await InferenceServer.listen({
      address: { host: '127.0.0.1', port: 0 },
      token: undefined,
      maxBodyBytes: 2 ** 24,
      maxRequests: 64,
      deadlineMillis: 30_000,
      models,
      metrics,
      log: silent,
      ...options,
    }),
  )
  const owned = stack.move()
  return {
    deployments,
    models,
    port: server.port,
    url: `http://127.0.0.1:${server.port}`,
    release: async (name, model, graph) => {
      const offer = await deployments.offer(name, model, graph)
      await models.check(offer, deployments.fileOf, new AbortController().signal)
      deployments.deploy(offer)
      return offer
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
