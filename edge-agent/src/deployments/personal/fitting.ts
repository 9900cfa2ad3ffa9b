import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { TributaryError } from '@tributary/contracts/errors'
import type { Logger } from 'pino'
import { writeAtomically } from '../../state/atomic-file.ts'
import type { DeployedModel } from '../deployed-model.ts'
import type { DeploymentBook, WishedModel } from '../deployment-book.ts'
import { unhealthyReason } from '../unhealthy-reason.ts'
import type { VersionCheck } from '../version-check.ts'
import { readForgetRequest, removeForgetRequest } from './forget-request.ts'
import { type OwnWishes, readOwnWishes } from './own-wishes.ts'
import type { PersonalRecord } from './personal-record.ts'
import { type Decision, Personaliser, type PersonaliserOptions } from './personaliser.ts'

export type FittingOptions = {
  /** Of deployments. */
  readonly folder: string
  readonly book: DeploymentBook
  readonly versions: VersionCheck
  readonly personal: Omit<PersonaliserOptions, 'log'>
  readonly fileOf: (file: DeployedModel['weights']) => string
  /** Of the files of all versions. */
  readonly mostBytes: () => number
  /** Whether the owner does not let a version be served. */
  readonly isRefused: (deployment: string) => boolean
  /** Told whenever another version is served. */
  readonly onServed: () => void
  /** Told where files of a version in service are not what they were. */
  readonly onDamaged: (deployment: string) => void
  readonly log: Logger
}

/**
 * Fits versions in service to this device, as deployments and its owner wish, and has the better one served. It is the last thing that
 * is done, and gives way to everything else.
 */
export class Fitting {
  readonly #options: FittingOptions
  readonly #book: DeploymentBook
  readonly #personaliser: Personaliser
  /** What the owner wishes of models, whatever deployments ask for. */
  #own: OwnWishes = new Map()
  #current: { readonly deployment: string; readonly controller: AbortController } | undefined

  constructor(options: FittingOptions) {
    this.#options = options
    this.#book = options.book
    this.#personaliser = new Personaliser({ ...options.personal, log: options.log })
  }

  /** Versions in service that are to be fitted, or were. */
  get wished(): readonly WishedModel[] {
    return this.#book.wished(this.#own)
  }

  /** What was put off is looked at at once. */
  lookAgain(deployment: string): void {
    this.#personaliser.forget(deployment)
  }

  /** Ends what goes on where another version is to come into service, or this one goes out of it. */
  giveWay(): void {
    const current = this.#current
    if (current === undefined) return
    const isWished = this.wished.some(({ deployment }) => deployment === current.deployment)
    // What its owner does not let come into service is not waited for.
    const isNext = this.#book.outstanding.some(({ deployment }) => !this.#options.isRefused(deployment))
    if (isNext || !isWished) current.controller.abort(new Error('another version is to be served'))
  }

  /** Whether a command of the owner waits; what is being fitted gives way to it. */
  async hasOwnerSpoken(): Promise<boolean> {
    const { folder } = this.#options
    const wishes = JSON.stringify([...(await readOwnWishes(folder))])
    const spoke = (await readForgetRequest(folder)) !== undefined || wishes !== JSON.stringify([...this.#own])
    if (spoke) this.#current?.controller.abort(new Error('the owner wishes something else'))
    return spoke
  }

  /**
   * Does what the owner asked for by the commands `personal` and `fine-tune`; what is wished no more is undone.
   * @param save makes what follows from it durable
   * @returns whether there is news
   */
  async heedOwner(save: () => Promise<void>): Promise<boolean> {
    const { folder, onServed, log } = this.#options
    const own = await readOwnWishes(folder)
    const forgotten = await readForgetRequest(folder)
    // First: who forgets what was fitted by hand also wishes it no more, and of that nothing else would be left.
    if (forgotten !== undefined && this.#book.forgetFitted(forgotten)) onServed()
    for (const { deployment, modelName } of this.#book.serving.values()) {
      const before = JSON.stringify(this.#own.get(modelName))
      if (before !== JSON.stringify(own.get(modelName))) this.lookAgain(deployment)
      const record = this.#book.personalOf(deployment)
      if (record?.own !== true || record.forgotten === true || own.has(modelName)) continue
      if (this.#book.unfit(deployment)) onServed()
    }
    this.#own = own
    if (forgotten === undefined) return false
    log.info({ deployments: forgotten }, 'what was fitted to this device is forgotten, as its owner wants')
    await save()
    await removeForgetRequest(folder)
    return true
  }

  /** Fits versions in service to this device where that is due, one after the other. @returns whether there is news */
  async fitAll(stop: AbortSignal): Promise<boolean> {
    const { isRefused } = this.#options
    const { wished } = this
    this.#personaliser.forgetOthers(new Set(wished.map(({ deployment }) => deployment)))
    const due = wished.filter(({ deployment }) => !isRefused(deployment) && this.#personaliser.isDue(deployment))
    let news = false
    for (const offer of due) {
      const before = this.#book.personalOf(offer.deployment)
      if (!(await this.#fit(offer, stop))) return true
      news ||= JSON.stringify(this.#book.personalOf(offer.deployment)) !== JSON.stringify(before)
    }
    return news
  }

  /** @returns false where something else is to be done first */
  async #fit(offer: WishedModel, stop: AbortSignal): Promise<boolean> {
    const { deployment } = offer
    const controller = new AbortController()
    this.#current = { deployment, controller }
    const signal = AbortSignal.any([stop, controller.signal])
    try {
      const known = this.#book.personalOf(deployment)
      const decision = await this.#personaliser.decide(offer, info => this.#readFile(info), known, signal)
      const record = await this.#checked(offer, decision, signal)
      signal.throwIfAborted()
      if (this.#book.fitted(record)) this.#options.onServed()
      return true
    } catch (error) {
      this.#personaliser.notDone(deployment)
      if (stop.aborted) throw error
      if (controller.signal.aborted) {
        this.lookAgain(deployment)
        return false
      }
      if (!(error instanceof TributaryError)) throw error
      this.#options.onDamaged(deployment)
      return false
    } finally {
      this.#current = undefined
    }
  }

  /** Stores fitted weights and has the runtime check them, before they are served; what it refuses is not. */
  async #checked(offer: WishedModel, { record, weights }: Decision, signal: AbortSignal): Promise<PersonalRecord> {
    const made = weights === undefined ? record.weights : { sha256: hash('sha256', weights), bytes: weights.byteLength }
    if (made === undefined || made.sha256 === this.#book.serving.get(offer.model)?.weights.sha256) return record
    const { deployment, key, own } = record
    const refuse = (code: string, detail: string): PersonalRecord => ({
      deployment,
      key,
      result: { outcome: 'failed', code, detail },
      ...(own && { own }),
    })
    const fitted = { ...offer, weights: made, released: offer.weights, groups: offer.groups ?? [], token: '' }
    const bytes = this.#book.bytesWith(fitted)
    const { versions, log, fileOf } = this.#options
    const maxBytes = this.#options.mostBytes()
    if (bytes > maxBytes)
      return refuse(
        'WORK_UNSUPPORTED',
        `The device has room for ${maxBytes} bytes of deployed versions; ${bytes} are needed.`,
      )
    if (weights !== undefined) await writeAtomically(fileOf(made), weights)
    try {
      await versions.check(fitted, fileOf, signal)
      return { ...record, weights: made }
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ err: error, deployment }, 'a version that was fitted to this device is not served')
      return refuse('MODEL_UNSUPPORTED', unhealthyReason(error) ?? 'The samples of this device could not be run.')
    }
  }

  /** A file of a version in service. @throws TributaryError CHECKSUM_MISMATCH, which another pull mends */
  async #readFile(info: { readonly sha256: string; readonly bytes: number }): Promise<Uint8Array> {
    const bytes = await readFile(this.#options.fileOf(info)).catch(() => undefined)
    if (bytes !== undefined && hash('sha256', bytes) === info.sha256) return bytes
    throw new TributaryError('CHECKSUM_MISMATCH', { detail: 'a file of a version in service is damaged' })
  }
}
