import { readFile, stat } from 'node:fs/promises'
import type { Logger } from 'pino'
import type { Datasets } from '../data/datasets.ts'
import type { DeployedModels } from '../deployments/deployed-models.ts'
import { InferenceServer } from './http/inference-server.ts'
import { InferenceMetrics } from './inference-metrics.ts'
import { firstRowsOf } from './samples/first-rows.ts'
import { OwnerSamples } from './samples/sample-set.ts'
import { ServedModels, type Withdrawals } from './served-models.ts'
import type { InferenceSettings } from './settings.ts'

const mostTokenBytes = 4096
const leastTokenCharacters = 16
/** A run may take so much longer than anybody waits for it before its process is given up. */
const stallFactor = 2

export type InferenceOptions = {
  readonly settings: InferenceSettings
  readonly dataDir: string
  readonly datasets: Datasets
  /** Where the process of a version is, for bundles that move it. */
  readonly workerUrl?: URL | undefined
  readonly log: Logger
}

/** Serving cannot begin as the settings say. The message says what to change. */
export class InferenceSettingsError extends Error {
  override readonly name = 'InferenceSettingsError'
}

/** Versions that are checked before they come into service, and answered from where the owner switched that on. */
export class Inference implements AsyncDisposable {
  readonly models: ServedModels
  readonly #options: InferenceOptions
  readonly #metrics = new InferenceMetrics()
  #server: InferenceServer | undefined

  constructor(options: InferenceOptions) {
    this.#options = options
    const { settings, dataDir, datasets, workerUrl, log } = options
    const { address, threads, maxBatch, deadlineSeconds, maxWaitMillis, maxQueue, idleSeconds } = settings
    this.models = new ServedModels({
      serves: address !== undefined,
      process: { workerUrl, threads, mostRows: maxBatch, stallMillis: stallFactor * deadlineSeconds * 1000 },
      maxWaitMillis,
      maxQueue,
      idleMillis: idleSeconds * 1000,
      samples: new OwnerSamples({ dataDir, firstRows: firstRowsOf(datasets), log }),
      metrics: this.#metrics,
      log,
    })
  }

  /** Follows what is deployed, and listens where the owner said so. Rejects with InferenceSettingsError. */
  async serve(deployments: DeployedModels & Withdrawals): Promise<void> {
    const { settings, log } = this.#options
    const { address, tokenFile, maxBodyBytes, maxRequests, deadlineSeconds } = settings
    if (address === undefined) return
    this.models.follow(deployments, deployments)
    const token = tokenFile === undefined ? undefined : await readToken(tokenFile)
    try {
      this.#server = await InferenceServer.listen({
        address,
        token,
        maxBodyBytes,
        maxRequests,
        deadlineMillis: deadlineSeconds * 1000,
        models: this.models,
        metrics: this.#metrics,
        log,
      })
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      const why = code === 'EADDRINUSE' ? 'the port is taken' : (code ?? (cause as Error).message)
      throw new InferenceSettingsError(
        `INFERENCE_LISTEN ${address.host}:${address.port} cannot be listened on: ${why}.`,
        { cause },
      )
    }
    log.info({ host: address.host, port: this.#server.port }, 'deployed models are served')
  }

  /** Of the server, once it listens. */
  get port(): number | undefined {
    return this.#server?.port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
    await this.models[Symbol.asyncDispose]()
  }
}

/** Rejects with InferenceSettingsError. */
export const readToken = async (file: string): Promise<string> => {
  const refuse = (what: string, cause?: unknown): InferenceSettingsError =>
    new InferenceSettingsError(`INFERENCE_TOKEN_FILE ${file} ${what}.`, { cause })
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    throw refuse(`cannot be read: ${cause.code}`, cause)
  })
  if (!found.isFile() || found.size > mostTokenBytes) throw refuse('is not a file with a token')
  const token = (await readFile(file, 'utf8')).trim()
  if (/^[\x21-\x7e]+$/.test(token) && token.length >= leastTokenCharacters) return token
  throw refuse(
    `must hold one line of at least ${leastTokenCharacters} printable characters; make one with "openssl rand -hex 32"`,
  )
}
