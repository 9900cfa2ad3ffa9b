import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AttemptRef } from '@tributary/contracts/ids'
import type { TrainerSettings } from '@tributary/contracts/round'
import type { Manifest } from '@tributary/tensors/manifest'
import type { Logger } from 'pino'
import type { Affine } from '../data/rows/row-layout.ts'
import type { TrainingLimits } from '../policy/policy.ts'
import { isLocal, type LocalTensors } from '../state/local-tensors.ts'
import { Turnstile } from '../training/turnstile.ts'
import { type InstalledTrainer, readTrainers } from './installed-trainers.ts'
import { JobFolder } from './job-folder.ts'
import { ProbeCache } from './probe-cache.ts'
import { probeStamp } from './probe-stamp.ts'
import { runWorker } from './run-worker.ts'
import { workerEnvironment } from './worker-environment.ts'
import { WorkerError } from './worker-error.ts'
import type { WorkerOutcome } from './worker-lines.ts'

/** Of the weights of the round, in the folder of a job. */
export const baseFile = 'base.safetensors'

/** Loading a framework from a slow card takes its time. */
const probeSeconds = 180
const maxWaitingJobs = 8

/** A data set in a file of rows: docs/datasets.md. */
export type RowsOnDisk = {
  readonly examples: number
  readonly file: string
  readonly header: { readonly features: number }
  /** What stored values stand for, where it is not what the file says. */
  readonly affine?: Affine
}

export type PythonJob = {
  readonly settings: Pick<TrainerSettings, 'framework' | 'batchSize' | 'loss'> & Partial<TrainerSettings>
  readonly manifest: Manifest
  /** For its files; has the weights, as the manifest describes them, under `baseFile`. */
  readonly folder: JobFolder
  readonly data: RowsOnDisk
}

export type PythonTrainingJob = PythonJob & {
  readonly settings: TrainerSettings
  readonly attempt: AttemptRef
  readonly seed: Uint8Array
}

export type PythonEvaluationJob = PythonJob & {
  /** Whose own values of what is kept local are evaluated. */
  readonly task: string
  /** What to find beside the loss. */
  readonly metrics: readonly string[]
}

export type PythonTrained = Extract<WorkerOutcome, { kind: 'trained' }> & {
  /** File of the new weights, of what the manifest sends, in the job's folder. */
  readonly weights: string
  /** Makes this device's own values those of the round, once nothing can go wrong with it any more. */
  readonly keepLocal: () => Promise<void>
}

export type PythonEvaluated = Extract<WorkerOutcome, { kind: 'evaluated' }>

export type PythonJobOptions = {
  readonly signal: AbortSignal
  /** 0 … 1 */
  readonly onProgress?: (progress: number) => void
}

/** Trains with code that the owner of the device installed, one job at a time, each in a process of its own. */
export class PythonTrainers {
  readonly #installed: ReadonlyMap<string, InstalledTrainer>
  readonly #folder: string
  readonly #local: LocalTensors
  readonly #probes: ProbeCache
  readonly #log: Logger
  readonly #limits: () => TrainingLimits
  readonly #working = new Set<string>()
  readonly #broken = new Set<string>()
  readonly #turnstile = new Turnstile(maxWaitingJobs)

  private constructor(
    installed: ReadonlyMap<string, InstalledTrainer>,
    folder: string,
    local: LocalTensors,
    probes: ProbeCache,
    log: Logger,
    limits: () => TrainingLimits,
  ) {
    this.#installed = installed
    this.#folder = folder
    this.#local = local
    this.#probes = probes
    this.#log = log
    this.#limits = limits
  }

  /**
   * Reads `trainers.json` of the data folder; what a killed agent left in `folder` is removed. Throws TrainersFileError.
   * @param folder for the files of jobs
   * @param local where this device's own values are kept
   * @param limits of the owner, beside those of each trainer; looked at when a job begins
   */
  static async open({
    dataDir,
    folder,
    local,
    log,
    limits = () => unlimited,
  }: {
    dataDir: string
    folder: string
    local: LocalTensors
    log: Logger
    limits?: () => TrainingLimits
  }): Promise<PythonTrainers> {
    const installed = await readTrainers(dataDir)
    await rm(join(folder, 'jobs'), { recursive: true, force: true })
    await mkdir(join(folder, 'jobs'), { recursive: true, mode: 0o700 })
    const probes = await ProbeCache.open(join(folder, 'probes.json'))
    return new PythonTrainers(installed, folder, local, probes, log, limits)
  }

  /** Those for which a trainer was started here and found to work. */
  get frameworks(): readonly string[] {
    const working = [...this.#installed.values()].filter(({ name }) => this.#working.has(name))
    return [...new Set(working.map(({ framework }) => framework))]
  }

  /** Whether a trainer of this name and framework is installed here; false once it was found that it does not load. */
  has(framework: string, name: string): boolean {
    return this.#installed.get(name)?.framework === framework && !this.#broken.has(name)
  }

  /**
   * Starts every trainer once to see whether it loads, one after another, but those that were found to work and have not changed since;
   * resolves when all are known or the signal aborts.
   */
  async probe(signal: AbortSignal, onWorks: () => void): Promise<void> {
    for (const trainer of this.#installed.values()) {
      if (signal.aborted) return
      const { name, framework } = trainer
      try {
        const stamp = await probeStamp(trainer)
        const known = this.#probes.get(name, stamp)
        if (known !== undefined) {
          this.#working.add(name)
          const { version, python } = known
          this.#log.info({ trainer: name, framework, version, python }, 'trainer works, as it did before')
          onWorks()
          continue
        }
        using _turn = await this.#turnstile.enter(signal)
        await using folder = await this.newJob()
        const limits = { ...trainer, timeSeconds: probeSeconds, stallSeconds: probeSeconds }
        const args = ['probe', framework, trainer.trainer]
        const found = await this.#run({ ...trainer, ...limits }, folder, args, { signal })
        if (found.kind !== 'probed') throw unexpected(found)
        this.#working.add(name)
        const { version, python } = found
        if (stamp !== undefined) await this.#probes.put(name, { stamp, version, python })
        this.#log.info({ trainer: name, framework, version, python }, 'trainer works')
        onWorks()
      } catch (error) {
        if (signal.aborted) return
        this.#broken.add(name)
        this.#log.error({ trainer: name, err: error }, 'a trainer does not load; tasks for it are refused')
      }
    }
  }

  /** A folder for the files of a job; dispose of it when nothing of the job is needed any more. */
  newJob(): Promise<JobFolder> {
    return JobFolder.create(join(this.#folder, 'jobs'))
  }

  /** Trains one job. Throws WorkerError, or the signal's reason. */
  async train(job: PythonTrainingJob, options: PythonJobOptions): Promise<PythonTrained> {
    const trainer = this.#trainerFor(job.settings)
    using _turn = await this.#turnstile.enter(options.signal)
    const { settings, seed, attempt, data, folder } = job
    const keepsLocal = job.manifest.tensors.some(isLocal)
    const weights = folder.file('result.safetensors')
    const localResult = folder.file('local.safetensors')
    const file = await folder.writeJob({
      ...describe(job, trainer, 'train'),
      seed: Buffer.from(seed).toString('hex'),
      orders: await folder.writeOrders(seed, settings.localEpochs, data.examples),
      local: keepsLocal ? ((await this.#local.before(attempt)) ?? null) : null,
      result: weights,
      localResult,
    })
    const outcome = await this.#run(trainer, folder, ['run', file], options)
    if (outcome.kind !== 'trained') throw unexpected(outcome)
    const keepLocal = async () => {
      if (keepsLocal) await this.#local.keepFile(attempt, localResult)
    }
    return { ...outcome, weights, keepLocal }
  }

  /** Evaluates one job. Throws WorkerError, or the signal's reason. */
  async evaluate(job: PythonEvaluationJob, options: PythonJobOptions): Promise<PythonEvaluated> {
    const trainer = this.#trainerFor(job.settings)
    using _turn = await this.#turnstile.enter(options.signal)
    const file = await job.folder.writeJob({
      ...describe(job, trainer, 'evaluate'),
      seed: '00',
      metrics: job.metrics,
      local: job.manifest.tensors.some(isLocal) ? ((await this.#local.newest(job.task)) ?? null) : null,
    })
    const outcome = await this.#run(trainer, job.folder, ['run', file], options)
    if (outcome.kind === 'evaluated') return outcome
    throw unexpected(outcome)
  }

  #trainerFor({ framework, trainer: name }: PythonJob['settings']): InstalledTrainer {
    const found = name === undefined ? undefined : this.#installed.get(name)
    if (found === undefined || found.framework !== framework)
      throw new WorkerError(
        'TRAINER_MISSING',
        `No trainer ${name ?? '(none named)'} of ${framework} is installed here.`,
      )
    const { memoryBytes, threads } = this.#limits()
    const lesser = least(found.threads, threads)
    return {
      ...found,
      memoryBytes: Math.min(found.memoryBytes, memoryBytes ?? Number.POSITIVE_INFINITY),
      ...(lesser === undefined ? {} : { threads: lesser }),
    }
  }

  #run(
    trainer: InstalledTrainer,
    folder: JobFolder,
    args: readonly string[],
    { signal, onProgress }: PythonJobOptions,
  ): Promise<WorkerOutcome> {
    return runWorker({
      python: trainer.python,
      args,
      env: workerEnvironment(trainer, folder.path),
      cwd: folder.path,
      limits: trainer,
      nice: this.#limits().nice,
      sendLog: trainer.sendLog,
      signal,
      onProgress: ({ steps, totalSteps }) => onProgress?.(Math.min(steps / Math.max(totalSteps, 1), 1)),
    }).catch(async (error: unknown) => {
      // It worked once, and does not any more.
      if (error instanceof WorkerError && error.code === 'TRAINER_MISSING') await this.#probes.forget(trainer.name)
      throw error
    })
  }
}

const describe = (
  { manifest, settings, folder, data }: PythonJob,
  { trainer, memoryBytes }: InstalledTrainer,
  kind: 'train' | 'evaluate',
) => ({
  kind,
  trainer,
  memoryBytes,
  weights: folder.file(baseFile),
  tensors: manifest.tensors,
  settings,
  data: { file: data.file, shape: exampleShape(manifest, data.header.features), affine: data.affine ?? null },
})

/** As the manifest's input has it, where that is known; else flat. */
const exampleShape = ({ inputs: [input] }: Manifest, features: number): readonly number[] => {
  const shape = input?.shape.slice(1) ?? []
  const fits = shape.reduce<number>((product, size) => product * (size ?? Number.NaN), 1) === features
  return fits ? (shape as number[]) : [features]
}

const unlimited: TrainingLimits = { nice: 0, threads: undefined, memoryBytes: undefined }

/** The smaller of two numbers that may be missing. */
const least = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)

const unexpected = ({ kind }: WorkerOutcome): WorkerError =>
  new WorkerError('PROTOCOL', `it answered with a line of kind "${kind}"`)
