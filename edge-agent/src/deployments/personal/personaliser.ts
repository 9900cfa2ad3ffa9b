import { hash } from 'node:crypto'
import { basename } from 'node:path'
import { TributaryError } from '@tributary/contracts/errors'
import type { Personalised } from '@tributary/contracts/personalisation'
import type { Logger } from 'pino'
import { failureOf } from '../../agent/job/failure.ts'
import { loadBundle } from '../../agent/job/model-bundle.ts'
import { DataError } from '../../data/data-error.ts'
import type { Datasets, StoredDataset } from '../../data/datasets.ts'
import type { Work } from '../../policy/decide.ts'
import { type PolicyGate, PolicyRefusedError } from '../../policy/policy-gate.ts'
import type { LocalTensors } from '../../state/local-tensors.ts'
import type { ObjectInfo } from '../../state/object-cache.ts'
import type { Trainer } from '../../training/trainer.ts'
import type { WishedModel } from '../deployment-book.ts'
import { fitVersion } from './fit-version.ts'
import type { PersonalRecord } from './personal-record.ts'
import type { Wish } from './wish.ts'

/** After a refusal, which may pass by itself, the policy is looked at again after so long. */
const refusedMillis = 60_000
/** After an error that says nothing of version, wish or data (a full disk, say) all is done anew, which takes the device's time. */
const againMillis = 600_000
/** Data that changed is looked for no more often: fitting takes a device's time. */
const dataLookMillis = 24 * 3_600_000

export type PersonaliserOptions = {
  readonly datasets: Pick<Datasets, 'load' | 'heldOutOf'>
  readonly trainer: Trainer
  readonly local: Pick<LocalTensors, 'newest'>
  readonly policy: Pick<PolicyGate, 'refusal' | 'watch' | 'share'>
  readonly log: Logger
}

/** What a fitted version is to be: the record, and the file of its weights where one was made now. */
export type Decision = { readonly record: PersonalRecord; readonly weights?: Uint8Array }

/** `training` is absent where nothing is trained. */
type Data = { readonly training: StoredDataset | undefined; readonly heldOut: StoredDataset }

/**
 * Decides what deployed versions are to this device: fitted to it, or as they were released. What is known of the same weights, wish
 * and data is not worked out again. Whatever goes wrong, the version as it was released is served, and the code says why.
 */
export class Personaliser {
  readonly #options: PersonaliserOptions
  /** When a deployment is looked at next, by the monotonic clock. */
  readonly #dueAt = new Map<string, number>()

  constructor(options: PersonaliserOptions) {
    this.#options = options
  }

  isDue(deployment: string): boolean {
    return performance.now() >= (this.#dueAt.get(deployment) ?? 0)
  }

  /** What was put off is looked at at once. */
  forget(deployment: string): void {
    this.#dueAt.delete(deployment)
  }

  /** Of what is to be fitted no more nothing stays. */
  forgetOthers(wished: ReadonlySet<string>): void {
    for (const deployment of this.#dueAt.keys()) if (!wished.has(deployment)) this.#dueAt.delete(deployment)
  }

  /** What was decided could not be done. */
  notDone(deployment: string): void {
    this.#dueAt.set(deployment, performance.now() + againMillis)
  }

  /**
   * @param model its files are here
   * @param read gives the bytes of one of its files
   * @param known how it came out before
   * @throws the signal's reason, and what may be gone with another try
   */
  async decide(
    model: WishedModel,
    read: (info: ObjectInfo) => Promise<Uint8Array>,
    known: PersonalRecord | undefined,
    signal: AbortSignal,
  ): Promise<Decision> {
    const { deployment, personalise: wish, own: isOwn, weights: released, task } = model
    const own = isOwn ? true : undefined
    const { policy, log } = this.#options
    const after = (millis: number) => void this.#dueAt.set(deployment, performance.now() + millis)
    const done = (key: string, result: Personalised): Decision => ({
      record: { deployment, key, result, ...(own && { own }) },
    })
    if (known?.forgotten === true && !isOwn) {
      after(dataLookMillis)
      // Others asked for it now, and hear of it.
      const { own: _, ...record } = known
      return { record }
    }
    if ('fault' in wish) {
      after(dataLookMillis)
      return done(keyOf([wish.fault]), failed('WORK_UNSUPPORTED', wish.fault))
    }
    const work = workOf(model, wish.dataset)
    const refusal = await policy.refusal(work)
    if (refusal !== undefined) {
      after(refusedMillis)
      // What is fitted already needs no work; but an owner who wants none of it does not want the old one either.
      if (known !== undefined && known.result.outcome !== 'refused' && refusal.rule !== 'personalise')
        return { record: known }
      return done(keyOf([refusal.rule]), refused(refusal.rule))
    }
    let key = keyOf([released.sha256, wish])
    try {
      using watch = policy.watch(work)
      const within = AbortSignal.any([signal, watch.signal])
      const data = await this.#load(wish, within)
      key = keyOf([released.sha256, wish, data.training && stampOf(data.training), stampOf(data.heldOut)])
      after(dataLookMillis)
      if (known?.key === key && known.forgotten !== true) return { record: known }
      log.info({ deployment, dataset: wish.dataset }, 'a deployed version is fitted to this device')
      const bundle = await loadBundle({ ...model, token: '' }, read)
      const ownValues = task === undefined ? undefined : await this.#options.local.newest(task)
      const { result, weights } = await fitVersion(this.#options.trainer, { bundle, wish, ...data, ownValues }, within)
      log.info({ deployment, ...result }, 'a deployed version was fitted to this device')
      return { ...done(key, result), ...(weights && { weights }) }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof PolicyRefusedError) {
        after(refusedMillis)
        return done(keyOf([error.rule]), refused(error.rule))
      }
      const failure = error instanceof TributaryError ? undefined : failureOf(error)
      if (failure === undefined) throw error
      log.warn({ err: error, deployment }, 'a deployed version could not be fitted to this device')
      after(dataLookMillis)
      return done(key, failed(failure.code, failure.detail))
    }
  }

  /** @throws DataError */
  async #load(
    { dataset, heldOut: named, localEpochs }: Exclude<Wish, { fault: string }>,
    signal: AbortSignal,
  ): Promise<Data> {
    const { datasets } = this.#options
    const heldOut = named ?? datasets.heldOutOf(dataset)
    if (heldOut === undefined)
      throw new DataError('HELD_OUT', `Data set "${dataset}" holds nothing out to compare on: give it a split.`)
    const data = {
      training: localEpochs === 0 ? undefined : await datasets.load(dataset, 'training', { signal }),
      heldOut: await datasets.load(heldOut, 'evaluation', { signal }),
    }
    if (data.training?.examples === 0 || data.heldOut.examples === 0)
      throw new DataError('HELD_OUT', `Data set "${dataset}" has no examples to train on, or none to compare on.`)
    return data
  }
}

/** The file's name says which data set, and which sources as they were. */
const stampOf = ({ file, affine }: StoredDataset): unknown => [basename(file), affine ?? null]

const keyOf = (parts: readonly unknown[]): string => hash('sha256', JSON.stringify(parts), 'hex')

const failed = (code: string, detail: string): Personalised => ({
  outcome: 'failed',
  code,
  ...(detail !== '' && { detail: detail.slice(0, 500) }),
})

const refused = (rule: string): Personalised => ({
  outcome: 'refused',
  code: 'POLICY_REFUSED',
  detail: `Rule "${rule}" of the owner's policy.`,
})

/** Fitting, as the policy looks at it. */
const workOf = ({ model, modelName }: WishedModel, dataset: string): Work => ({
  kind: 'personalisation',
  task: undefined,
  model: { id: model, name: modelName },
  dataset,
  framework: 'onnx',
  trainer: 'built-in',
  groups: undefined,
  updateBytes: 0,
})
