import { readFile } from 'node:fs/promises'
import type { Logger } from 'pino'
import { ModelError } from '../../agent/job/work.ts'
import { DataError } from '../../data/data-error.ts'
import { openDataFile } from '../../data/open-data-file.ts'
import type { DeploymentOffer } from '../../deployments/deployment-offer.ts'
import type { ModelProcess } from '../model-process.ts'
import { checkDatasetRows, type FirstRows } from './dataset-rows.ts'
import { checkRecorded } from './recorded.ts'
import { declarationsFile, readSampleDeclarations, type SampleDeclaration } from './sample-declarations.ts'

const mostFileBytes = 64 * 2 ** 20

/** Samples that a version must do well on before it comes into service: of the agent's own making, and those that the owner declares. */
export type SampleSet = {
  /** Rejects with ModelError where a sample comes out badly, DataError where the owner's samples cannot be read. */
  check(offer: Pick<DeploymentOffer, 'model' | 'modelName'>, process: ModelProcess): Promise<void>
}

export type OwnerSamplesOptions = {
  readonly dataDir: string
  /** The first rows of a data set that is held out. */
  readonly firstRows: FirstRows
  readonly log: Logger
}

/** Samples of the data folder's `inference.json`, read at every check, so that the owner can change them. */
export class OwnerSamples implements SampleSet {
  readonly #options: OwnerSamplesOptions

  constructor(options: OwnerSamplesOptions) {
    this.#options = options
  }

  async check(
    { model, modelName }: Pick<DeploymentOffer, 'model' | 'modelName'>,
    process: ModelProcess,
  ): Promise<void> {
    const declarations = readSampleDeclarations(await this.#read(declarationsFile, true))
    const declared = declarations.get(modelName) ?? declarations.get(model) ?? {}
    checkOwnSample(process, declared)
    const { dataset, recorded } = declared
    if (dataset !== undefined) {
      const accuracy = await checkDatasetRows(process, await this.#options.firstRows(dataset.name, dataset.rows))
      this.#options.log.info(
        { model: modelName, dataset: dataset.name, accuracy },
        'a new version was run on held-out data',
      )
      expectAtLeast(accuracy, dataset.leastAccuracy)
    }
    if (recorded !== undefined) {
      const file = (await this.#read(recorded.file, false)) as Buffer
      const agreement = await checkRecorded(process, file, recorded)
      this.#options.log.info({ model: modelName, agreement }, 'a new version was run on recorded samples')
      expectAtLeast(agreement, recorded.leastAgreement)
    }
  }

  async #read(name: string, optional: boolean): Promise<Buffer | undefined> {
    try {
      await using file = await openDataFile(this.#options.dataDir, name)
      const { size } = await file.stat()
      if (size > mostFileBytes)
        throw new DataError('TOO_LARGE', `${name} has ${size} bytes; samples take at most ${mostFileBytes}.`)
      return await readFile(file)
    } catch (error) {
      const missing =
        error instanceof DataError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
      if (optional && missing) return undefined
      throw error
    }
  }
}

/** The sample that the process made itself when it loaded the version. */
const checkOwnSample = ({ sample }: ModelProcess, { dataset, recorded }: SampleDeclaration): void => {
  if ('refusal' in sample) {
    // Where sizes are free the agent can only guess: then the owner's samples decide.
    if (dataset !== undefined || recorded !== undefined) return
    throw new ModelError(`The model refuses a sample input. ${sample.refusal}`)
  }
  if (!sample.finite) throw new ModelError('The model gives numbers that are not finite for a sample input.')
}

/** What leaves the device says that it failed, not how the owner's data came out. */
const expectAtLeast = (share: number | undefined, least: number | undefined): void => {
  if (share === undefined || least === undefined || share >= least) return
  throw new ModelError("Fewer of the device's own samples come out right than its owner asks for.")
}
