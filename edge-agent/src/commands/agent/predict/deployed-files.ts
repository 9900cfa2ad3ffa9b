import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { DeployedModel } from '../../../deployments/deployed-model.ts'
import { readBookPage } from '../../../deployments/deployment-book-file.ts'
import { checkRequest } from '../../../inference/check-request.ts'
import { InferenceError } from '../../../inference/inference-error.ts'
import { ModelProcess, ModelProcessError } from '../../../inference/model-process.ts'
import { readRequest } from '../../../inference/protocol/read-request.ts'
import { writeResponse } from '../../../inference/protocol/write-response.ts'
import { CommandError } from '../agent-command.ts'
import type { Predictor } from './predictor.ts'

const stallMillis = 120_000

/** The versions in service in the folder of an agent that does not run or does not serve. */
export class DeployedFiles {
  readonly #folder: string
  readonly #workerUrl: URL | undefined
  readonly #serving: ReadonlyMap<string, DeployedModel>

  private constructor(folder: string, workerUrl: URL | undefined, serving: ReadonlyMap<string, DeployedModel>) {
    this.#folder = folder
    this.#workerUrl = workerUrl
    this.#serving = serving
  }

  /** @param workerUrl where the process of a version is, for bundles that move it */
  static async open(stateDir: string, workerUrl?: URL): Promise<DeployedFiles> {
    const folder = join(stateDir, 'deployments')
    const page = await readBookPage(folder)
    return new DeployedFiles(folder, workerUrl, new Map(page?.serving.map(model => [model.modelName, model])))
  }

  get models(): readonly string[] {
    return [...this.#serving.keys()]
  }

  /** Loads a version in a process of its own. Rejects with CommandError, or the signal's reason. */
  async open(name: string, signal: AbortSignal): Promise<Predictor> {
    const model = this.#serving.get(name)
    if (model === undefined) throw new CommandError(`No model ${JSON.stringify(name)} is deployed on this device.`)
    const fileOf = ({ sha256 }: DeployedModel['weights']) => ({ path: join(this.#folder, 'objects', sha256), sha256 })
    const options = { workerUrl: this.#workerUrl, threads: availableParallelism(), mostRows: 1, stallMillis }
    const files = { graph: fileOf(model.graph), weights: fileOf(model.weights) }
    const process = await ModelProcess.open(files, options, signal).catch(asCommandError)
    const infer = async (request: string): Promise<string> => {
      const { id, inputs, outputs, isBinary } = readRequest(Buffer.from(request))
      const fitting = checkRequest({ inputs, outputs }, process.description)
      const ran = await process.run([fitting.inputs], fitting.outputs)
      const head = { modelName: model.modelName, modelVersion: String(model.versionNumber), id }
      if (ran.outputs.some(({ name: output }) => isBinary(output))) {
        throw new CommandError('Binary outputs are for a program that asks over HTTP: leave "binary_data" out.')
      }
      return Buffer.concat(writeResponse(head, ran.outputs, () => false).parts).toString('utf8')
    }
    return {
      inputs: process.description.inputs,
      infer: request => infer(request).catch(asCommandError),
      [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
    }
  }
}

const asCommandError = (error: unknown): never => {
  if (error instanceof InferenceError || error instanceof ModelProcessError) {
    throw new CommandError(error.message, { cause: error })
  }
  throw error
}
