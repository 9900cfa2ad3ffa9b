import { TributaryError } from '@tributary/contracts/errors'
import type { Logger } from 'pino'
import { ModelError } from '../agent/job/work.ts'
import type { DeployedModel } from '../deployments/deployed-model.ts'
import type { DeployedModels } from '../deployments/deployed-models.ts'
import type { DeploymentOffer } from '../deployments/deployment-offer.ts'
import type { VersionCheck } from '../deployments/version-check.ts'
import { InferenceError, quote } from './inference-error.ts'
import type { InferenceMetrics } from './inference-metrics.ts'
import { ModelProcess, ModelProcessError, type ModelProcessOptions } from './model-process.ts'
import type { InferenceRequest, InferenceResult } from './request-queue.ts'
import type { SampleSet } from './samples/sample-set.ts'
import type { ServedModel } from './served-model.ts'
import { RetiredError, ServedVersion } from './served-version.ts'
import type { ModelFiles } from './worker/protocol.ts'

/** A version that passed its check and did not come into service is given up after so long. */
const unclaimedMillis = 10_000

export type ServedModelsOptions = {
  /** Whether anybody can ask: otherwise versions are checked, and no process stays. */
  readonly serves: boolean
  readonly process: ModelProcessOptions
  readonly maxWaitMillis: number
  readonly maxQueue: number
  readonly idleMillis: number
  readonly samples: SampleSet
  readonly metrics: InferenceMetrics
  readonly log: Logger
}

/** What takes versions out of service again. */
export type Withdrawals = {
  unhealthy(deployment: string, detail: string): void
  damaged(deployment: string): void
}

type Candidate = {
  readonly deployment: string
  /** sha256 */
  readonly weights: string
  readonly process: ModelProcess
  readonly timer: NodeJS.Timeout
}

/**
 * The models in service, each version in its own process. A new version is loaded and checked beside the one in service; its process then
 * takes over at once, and the old one finishes what it has.
 */
export class ServedModels implements VersionCheck, AsyncDisposable {
  readonly #options: ServedModelsOptions
  /** By model id. */
  readonly #models = new Map<string, ServedModel>()
  readonly #ending = new Set<Promise<void>>()
  #candidate: Candidate | undefined
  #following: Disposable | undefined

  constructor(options: ServedModelsOptions) {
    this.#options = options
  }

  async check(offer: DeploymentOffer, fileOf: DeployedModels['fileOf'], signal: AbortSignal): Promise<void> {
    await this.#dropCandidate()
    try {
      await this.#check(offer, fileOf, signal)
    } catch (error) {
      // What ended the process may have been this device's moment.
      if (!isCrash(error)) throw modelErrorOf(error)
      await this.#check(offer, fileOf, signal).catch(again => {
        throw modelErrorOf(again)
      })
    }
  }

  async #check(offer: DeploymentOffer, fileOf: DeployedModels['fileOf'], signal: AbortSignal): Promise<void> {
    await using stack = new AsyncDisposableStack()
    const { process: options, samples, serves } = this.#options
    const process = stack.use(await ModelProcess.open(filesOf(offer, fileOf), options, signal))
    await samples.check(offer, process)
    signal.throwIfAborted()
    if (!serves) return
    stack.move()
    const timer = setTimeout(() => void this.#dropCandidate(), unclaimedMillis)
    timer.unref()
    this.#candidate = { deployment: offer.deployment, weights: offer.weights.sha256, process, timer }
  }

  /** Serves what is deployed from now on. */
  follow(models: DeployedModels, withdrawals: Withdrawals): void {
    const sync = (): void => this.#sync(models, withdrawals)
    this.#following = models.onChange(sync)
    sync()
  }

  /** By name. */
  get list(): readonly ServedModel[] {
    return [...this.#models.values()]
  }

  /**
   * A model by its name or its id.
   * @param version its number
   * @throws InferenceError NOT_FOUND
   */
  find(name: string, version?: string): ServedModel {
    const named = this.#models.get(name) ?? this.#byName(name)
    if (named === undefined)
      throw new InferenceError('NOT_FOUND', `No model ${quote(name)} is deployed on this device.`)
    const inService = String(named.deployed.versionNumber)
    if (version === undefined || version === inService) return named
    throw new InferenceError(
      'NOT_FOUND',
      `Version ${quote(version)} of ${quote(name)} is not in service; ${inService} is.`,
    )
  }

  /** Answers a request; one that meets a swap is answered by the new version. Rejects with InferenceError, or the signal's reason. */
  async infer(
    name: string,
    version: string | undefined,
    request: InferenceRequest,
    signal: AbortSignal,
  ): Promise<InferenceResult & { readonly deployed: DeployedModel }> {
    for (;;) {
      const model = this.find(name, version)
      try {
        return { ...(await model.version.infer(request, signal)), deployed: model.deployed }
      } catch (error) {
        if (!(error instanceof RetiredError)) throw error
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#following?.[Symbol.dispose]()
    const versions = [...this.#models.values()].map(({ version }) => version)
    this.#models.clear()
    await Promise.all([
      this.#dropCandidate(),
      ...versions.map(version => version[Symbol.asyncDispose]()),
      ...this.#ending,
    ])
  }

  #byName(name: string): ServedModel | undefined {
    // Ids are by time: of two models of one name, the one deployed last.
    return [...this.#models.values()]
      .filter(({ deployed }) => deployed.modelName === name)
      .sort((a, b) => (a.deployed.deployment < b.deployed.deployment ? 1 : -1))[0]
  }

  #sync(models: DeployedModels, withdrawals: Withdrawals): void {
    if (!this.#options.serves) return
    for (const [id, { deployed, version }] of this.#models) {
      if (models.serving.has(id)) continue
      this.#models.delete(id)
      this.#retire(version)
      this.#options.log.info({ model: deployed.modelName }, 'a model is served no more')
    }
    for (const [id, deployed] of models.serving) {
      const before = this.#models.get(id)
      if (before !== undefined && isSame(before.deployed, deployed)) continue
      this.#models.set(id, { deployed, version: this.#serve(deployed, models, withdrawals) })
      if (before !== undefined) this.#retire(before.version)
      this.#options.metrics.swapped(deployed)
    }
  }

  #serve(deployed: DeployedModel, models: DeployedModels, withdrawals: Withdrawals): ServedVersion {
    const { process, maxWaitMillis, maxQueue, idleMillis, metrics } = this.#options
    const { deployment, modelName: model, versionNumber: version } = deployed
    const log = this.#options.log.child({ deployment, model, version })
    const options = {
      process,
      maxWaitMillis,
      maxQueue,
      idleMillis,
      log,
      onRun: metrics.runsOf(deployed),
      onUnhealthy: (detail: string) => withdrawals.unhealthy(deployment, detail),
      onDamaged: () => withdrawals.damaged(deployment),
    }
    return new ServedVersion(filesOf(deployed, models.fileOf.bind(models)), options, this.#claim(deployed))
  }

  #claim({ deployment, weights }: DeployedModel): ModelProcess | undefined {
    const candidate = this.#candidate
    if (candidate?.deployment !== deployment || candidate.weights !== weights.sha256) return undefined
    clearTimeout(candidate.timer)
    this.#candidate = undefined
    return candidate.process
  }

  #retire(version: ServedVersion): void {
    const ending: Promise<void> = version.retire().finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }

  async #dropCandidate(): Promise<void> {
    const candidate = this.#candidate
    this.#candidate = undefined
    clearTimeout(candidate?.timer)
    await candidate?.process[Symbol.asyncDispose]()
  }
}

/** Of one deployment a device may serve the released weights or its own. */
const isSame = (one: DeployedModel, other: DeployedModel): boolean =>
  one.deployment === other.deployment && one.weights.sha256 === other.weights.sha256

const filesOf = (
  { graph, weights }: Pick<DeployedModel, 'graph' | 'weights'>,
  fileOf: DeployedModels['fileOf'],
): ModelFiles => ({
  graph: { path: fileOf(graph), sha256: graph.sha256 },
  weights: { path: fileOf(weights), sha256: weights.sha256 },
})

const isCrash = (error: unknown): boolean => error instanceof ModelProcessError && error.code === 'CRASHED'

/** What the process says of a version, as the one who deployed it reads it. */
const modelErrorOf = (error: unknown): unknown => {
  if (isCrash(error)) {
    return new ModelError('The process of the runtime ended while it loaded the version or ran a sample.', {
      cause: error,
    })
  }
  if (!(error instanceof ModelProcessError)) return error
  // Whoever pulls again gets whole files.
  if (error.code === 'FILES_DAMAGED') return new TributaryError('CHECKSUM_MISMATCH', { detail: error.message })
  return new ModelError(error.message, { cause: error })
}
