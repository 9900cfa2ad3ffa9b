import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { Deployment, DeploymentStateSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { Logger } from 'pino'
import { Wakeup } from '../agent/check-in/wakeup.ts'
import type { PolicyGate } from '../policy/policy-gate.ts'
import { writeAtomically } from '../state/atomic-file.ts'
import { ObjectCache } from '../state/object-cache.ts'
import { Backoff } from '../transport/backoff.ts'
import type { Endpoints } from '../transport/endpoints.ts'
import { type DeployedModel, filesOf, releasedOf } from './deployed-model.ts'
import type { DeployedModels } from './deployed-models.ts'
import { DeploymentBook } from './deployment-book.ts'
import { bookFile, readBookPage } from './deployment-book-file.ts'
import { type DeploymentOffer, readOffer } from './deployment-offer.ts'
import { Fitting } from './personal/fitting.ts'
import { readForgetRequest } from './personal/forget-request.ts'
import { personalisedMessage } from './personal/personalised-message.ts'
import type { PersonaliserOptions } from './personal/personaliser.ts'
import { prepareDeployment } from './prepare-deployment.ts'
import { Refusals } from './refusals.ts'
import { unhealthyReason } from './unhealthy-reason.ts'
import type { VersionCheck } from './version-check.ts'

/** Models that one device serves; a node that offers more is not believed. */
const mostModels = 32
/** Without news the loop looks again after so long: whatever was lost comes back. */
const restMillis = 10_000

export type DeploymentsOptions = {
  readonly folder: string
  /** Files of all versions that are kept. */
  readonly maxBytes: number
  readonly maxModelBytes: number
  readonly endpoints: Endpoints
  readonly versions: VersionCheck
  /** What the owner lets be served here. */
  readonly policy: Pick<PolicyGate, 'deploymentRules'>
  /** What versions are fitted to this device with. */
  readonly personal: Omit<PersonaliserOptions, 'log'>
  readonly log: Logger
}

/**
 * Versions that this device serves: pulled, checked and kept in `<state>/deployments`, one after the other, beside training.
 * `serving` means that the files are here and that the version passed its check in the runtime; predictions are `inference/`'s.
 */
export class Deployments implements DeployedModels {
  readonly #options: DeploymentsOptions
  readonly #objects: ObjectCache
  readonly #book: DeploymentBook
  readonly #fitting: Fitting
  readonly #refusals: Refusals
  readonly #wakeup = new Wakeup()
  readonly #listeners = new Set<() => void>()
  #preparing: { readonly deployment: string; readonly controller: AbortController } | undefined
  #saved = ''
  #heard = ''
  #hasNews = false

  private constructor(options: DeploymentsOptions, objects: ObjectCache, book: DeploymentBook) {
    this.#options = options
    this.#objects = objects
    this.#book = book
    this.#refusals = new Refusals(options.policy)
    this.#fitting = new Fitting({
      ...options,
      book,
      fileOf: file => this.fileOf(file),
      mostBytes: () => this.#mostBytes,
      isRefused: deployment => this.#refusals.has(deployment),
      onServed: () => this.#tell(),
      onDamaged: deployment => this.damaged(deployment),
    })
  }

  /** Opens the folder. A record that is damaged is forgotten; a version whose files are not whole is pulled again. */
  static async open(options: DeploymentsOptions): Promise<Deployments> {
    const files = join(options.folder, 'objects')
    await mkdir(options.folder, { recursive: true, mode: 0o700 })
    // What may stay is decided here, not by last use.
    const objects = await ObjectCache.open(files, Number.MAX_SAFE_INTEGER)
    const book = new DeploymentBook(await readBookPage(options.folder))
    // Before files are missed that the owner has removed.
    book.forgetFitted((await readForgetRequest(options.folder)) ?? [])
    for (const model of [...book.serving.values()]) {
      if (await isWhole(files, model)) continue
      // What was fitted can be made again.
      if (model.released !== undefined && (await isWhole(files, releasedOf(model)))) book.unfit(model.deployment)
      else book.lost(model)
    }
    const deployments = new Deployments(options, objects, book)
    await deployments.#review()
    return deployments
  }

  get serving(): ReadonlyMap<string, DeployedModel> {
    return new Map([...this.#book.serving].filter(([, { deployment }]) => !this.#refusals.has(deployment)))
  }

  fileOf({ sha256 }: DeployedModel['weights']): string {
    return join(this.#options.folder, 'objects', sha256)
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** What the device says at its check-in. */
  get states(): readonly MessageInitShape<typeof DeploymentStateSchema>[] {
    const { share } = this.#options.personal.policy
    return this.#book.states.map(state => {
      const { personalised, ...said } = this.#refusals.stateOf(state)
      return { ...said, ...(personalised && { personalised: personalisedMessage(personalised, share) }) }
    })
  }

  /**
   * A version in service does not fare well with real requests: the one before takes its place, where there is one, and the node is told.
   * @param detail leaves the device: nothing of the owner's data
   */
  unhealthy(deployment: string, detail: string): void {
    if (!this.#book.unhealthy(deployment, detail.slice(0, 500))) return
    this.#options.log.error({ deployment, detail }, 'a version was taken out of service')
    this.#changed()
  }

  /** Files of a version in service are not what they were: it is pulled again. */
  damaged(deployment: string): void {
    const model = [...this.#book.serving.values()].find(served => served.deployment === deployment)
    if (model === undefined) return
    this.#options.log.error({ deployment }, 'files of a version in service are damaged')
    this.#fitting.lookAgain(deployment)
    this.#book.lost(model)
    this.#changed()
  }

  /** Takes over what a check-in said; the work is done beside it, by `run`. */
  follow(deployments: readonly Deployment[]): void {
    const before = servedIn(this.#book)
    this.#book.follow(this.#read(deployments))
    const preparing = this.#preparing
    if (preparing !== undefined && this.#book.wanted(preparing.deployment) === undefined) {
      preparing.controller.abort(new Error('the version is deployed here no more'))
    }
    this.#fitting.giveWay()
    if (servedIn(this.#book) !== before) this.#tell()
    // The same again is no reason to try what has just failed.
    const news = JSON.stringify([
      this.#book.page,
      this.#book.outstanding.map(({ deployment, revision }) => [deployment, revision]),
      this.#fitting.wished.map(({ deployment }) => deployment),
    ])
    if (news !== this.#heard) this.#wakeup.wake()
    this.#heard = news
    this.#fitting.hasOwnerSpoken().then(
      spoke => spoke && this.#wakeup.wake(),
      (error: unknown) => this.#options.log.error({ err: error }, 'what the owner wishes could not be looked at'),
    )
    // The owner may have changed the policy.
    this.#review().then(
      changed => changed && this.#changed(),
      (error: unknown) => this.#options.log.error({ err: error }, 'the policy could not be looked at'),
    )
  }

  /**
   * Brings into service what is wanted until the signal aborts.
   * @param onNews called whenever `states` changed by that: the node should hear of it
   */
  async run(signal: AbortSignal, onNews: () => void): Promise<void> {
    const backoff = new Backoff(1000, 60_000)
    while (!signal.aborted) {
      let pause = restMillis
      try {
        await this.#save()
        if (await this.#fitting.heedOwner(() => this.#save())) this.#hasNews = true
        if (await this.#review()) {
          this.#tell()
          this.#hasNews = true
        }
        if (this.#hasNews) onNews()
        this.#hasNews = false
        const next = this.#book.outstanding.find(({ deployment }) => !this.#refusals.has(deployment))
        if (next === undefined) {
          await this.#tidy()
          if (await this.#fitting.fitAll(signal)) {
            await this.#save()
            onNews()
            continue
          }
        } else {
          const settled = await this.#prepare(next, signal)
          if (settled) {
            backoff.reset()
            await this.#save()
            onNews()
            continue
          }
          pause = backoff.next()
        }
      } catch (error) {
        if (signal.aborted) break
        // A full disk, say: the next look tries again.
        this.#options.log.error({ err: error }, 'deployments cannot be kept up')
        pause = backoff.next()
      }
      await this.#wakeup.pause(pause, signal)
    }
  }

  /** @returns false where another try may do */
  async #prepare(offer: DeploymentOffer, stop: AbortSignal): Promise<boolean> {
    const { deployment, modelName, versionNumber } = offer
    const log = this.#options.log.child({ deployment, model: modelName, version: versionNumber })
    const owners = this.#refusals.mostBytes
    const maxBytes = this.#mostBytes
    if (this.#book.bytesWith(offer) > maxBytes && this.#book.forgetFormer()) await this.#tidy()
    const bytes = this.#book.bytesWith(offer)
    if (bytes > maxBytes) {
      log.error({ bytes, maxBytes }, 'no room for a deployed version')
      if (maxBytes === owners) {
        this.#refusals.tooLarge(deployment, owners)
        return true
      }
      this.#book.failed(offer, `The device has room for ${maxBytes} bytes of deployed versions; ${bytes} are needed.`)
      return true
    }
    const controller = new AbortController()
    this.#preparing = { deployment, controller }
    const signal = AbortSignal.any([stop, controller.signal])
    try {
      const latest = () => this.#book.wanted(deployment) ?? offer
      const context = { ...this.#options, objects: this.#objects, fileOf: this.fileOf.bind(this) }
      await prepareDeployment(context, offer, latest, signal)
      const wanted = this.#book.wanted(deployment)
      if (wanted === undefined) return true
      this.#book.passed(wanted)
      log.info('a deployed version is in service')
      this.#tell()
      return true
    } catch (error) {
      if (signal.aborted) return controller.signal.aborted
      const reason = unhealthyReason(error)
      log.warn({ err: error, again: reason === undefined }, 'a deployed version is not in service')
      if (reason === undefined) return false
      this.#book.failed(this.#book.wanted(deployment) ?? offer, reason.slice(0, 500))
      return true
    } finally {
      this.#preparing = undefined
    }
  }

  /** Of the files of all versions: what the agent is set to, or less where its owner says so. */
  get #mostBytes(): number {
    return Math.min(this.#options.maxBytes, this.#refusals.mostBytes ?? Number.POSITIVE_INFINITY)
  }

  #read(deployments: readonly Deployment[]): DeploymentOffer[] {
    const { maxModelBytes, log } = this.#options
    return deployments.slice(0, mostModels).flatMap(message => {
      try {
        return readOffer(message, maxModelBytes)
      } catch (error) {
        log.error({ err: error }, 'a deployment was refused')
        return []
      }
    })
  }

  /** Holds what is served or should be against the owner's policy. @returns whether that changes anything */
  #review(): Promise<boolean> {
    const served = [...this.#book.serving.values()].map(model => this.#book.wanted(model.deployment) ?? model)
    return this.#refusals.review([...served, ...this.#book.outstanding])
  }

  /** Something happened outside of the loop, which saves it and tells the node. */
  #changed(): void {
    this.#tell()
    this.#hasNews = true
    this.#wakeup.wake()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }

  async #save(): Promise<void> {
    const page = JSON.stringify(this.#book.page)
    if (page === this.#saved) return
    await writeAtomically(bookFile(this.#options.folder), page)
    this.#saved = page
  }

  /** Removes the files of what is gone. */
  async #tidy(): Promise<void> {
    if (!this.#book.isTold) return
    const folder = join(this.#options.folder, 'objects')
    const needed = this.#book.files
    for (const name of await readdir(folder)) {
      if (!needed.has(name.slice(0, 64))) await rm(join(folder, name), { force: true, recursive: true })
    }
  }
}

const servedIn = ({ serving }: DeploymentBook): string => [...serving.keys()].join()

const isWhole = async (folder: string, model: DeployedModel): Promise<boolean> => {
  for (const { sha256, bytes } of filesOf(model)) {
    const size = await stat(join(folder, sha256)).then(
      found => found.size,
      () => undefined,
    )
    if (size !== bytes) return false
  }
  return true
}
