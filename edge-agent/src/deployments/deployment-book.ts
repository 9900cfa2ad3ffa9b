import { Uuid } from '@tributary/contracts/ids'
import type { Personalise, Personalised } from '@tributary/contracts/personalisation'
import * as z from 'zod'
import { DeployedModel, filesOf, releasedOf } from './deployed-model.ts'
import type { DeploymentOffer } from './deployment-offer.ts'
import { PersonalRecord } from './personal/personal-record.ts'
import type { Wish } from './personal/wish.ts'

/** Deployments that went back and are still told of: the newest. */
const mostGone = 16

const Failed = z.object({
  deployment: Uuid,
  revision: z.int().positive(),
  model: Uuid,
  detail: z.string(),
})
const Gone = z.object({ deployment: Uuid, revision: z.int().positive(), detail: z.string() })

/** What survives a restart. */
export const BookPage = z.object({
  serving: z.array(DeployedModel),
  /** By model the one that was served before, for a roll back without a pull. */
  former: z.array(DeployedModel),
  failed: z.array(Failed),
  gone: z.array(Gone),
  /** How deployments were fitted to this device. */
  personal: z.array(PersonalRecord).default([]),
})
export type BookPage = z.infer<typeof BookPage>

const forgotten = {
  outcome: 'refused',
  code: 'POLICY_REFUSED',
  detail: 'The owner of the device had it forgotten.',
} as const

export type StateReport = {
  readonly deployment: string
  readonly revision: number
  readonly state: 'pulling' | 'serving' | 'unhealthy' | 'rolled-back' | 'refused'
  readonly detail: string
  /** How it was fitted to this device; absent where that was not asked for, or goes on. */
  readonly personalised?: Personalised
}

/** A version in service, as it was released, that is to be fitted to this device. */
export type WishedModel = DeployedModel & {
  readonly personalise: Wish
  /** Whether its owner wishes it, whatever others do. */
  readonly own: boolean
}

/**
 * What this device serves, should serve, and could not serve. One model has one version in service; it stays until the next one has passed
 * its check, and stays altogether where that does not. Pure: files and time are the owner's.
 */
export class DeploymentBook {
  /** By deployment; undefined before the first check-in since the start. */
  #wanted: ReadonlyMap<string, DeploymentOffer> | undefined
  readonly #serving = new Map<string, DeployedModel>()
  readonly #former = new Map<string, DeployedModel>()
  readonly #failed = new Map<string, z.infer<typeof Failed>>()
  readonly #gone = new Map<string, z.infer<typeof Gone>>()
  readonly #personal = new Map<string, PersonalRecord>()

  constructor(page?: BookPage) {
    for (const model of page?.serving ?? []) this.#serving.set(model.model, model)
    for (const model of page?.former ?? []) this.#former.set(model.model, model)
    for (const failed of page?.failed ?? []) this.#failed.set(failed.deployment, failed)
    for (const gone of page?.gone ?? []) this.#gone.set(gone.deployment, gone)
    for (const record of page?.personal ?? []) this.#personal.set(record.deployment, record)
  }

  get page(): BookPage {
    return {
      serving: [...this.#serving.values()],
      former: [...this.#former.values()],
      failed: [...this.#failed.values()],
      gone: [...this.#gone.values()],
      personal: [...this.#personal.values()],
    }
  }

  /** By model. */
  get serving(): ReadonlyMap<string, DeployedModel> {
    return this.#serving
  }

  /** Whether the node has said since the start what is wanted. Before, nobody knows which files are needed. */
  get isTold(): boolean {
    return this.#wanted !== undefined
  }

  wanted(deployment: string): DeploymentOffer | undefined {
    return this.#wanted?.get(deployment)
  }

  /** Deployments that are neither served nor known to fail at their revision. */
  get outstanding(): DeploymentOffer[] {
    return [...(this.#wanted?.values() ?? [])].filter(
      ({ deployment, revision, model }) =>
        this.#serving.get(model)?.deployment !== deployment && this.#failed.get(deployment)?.revision !== revision,
    )
  }

  /** Versions in service that are to be fitted to this device. @param own what its owner wishes, by name of the model */
  wished(own: ReadonlyMap<string, Personalise> = new Map()): WishedModel[] {
    return [...this.#serving.values()].flatMap(served => {
      const wish = own.get(served.modelName)
      const personalise = wish ?? this.#wanted?.get(served.deployment)?.personalise
      return personalise === undefined ? [] : [{ ...releasedOf(served), personalise, own: wish !== undefined }]
    })
  }

  personalOf(deployment: string): PersonalRecord | undefined {
    return this.#personal.get(deployment)
  }

  /**
   * A version in service was fitted to this device, or it was found that it is better as it was released: the better one is served.
   * @returns whether another one is served now
   */
  fitted(record: PersonalRecord): boolean {
    const { deployment, weights } = record
    const served = [...this.#serving.values()].find(model => model.deployment === deployment)
    if (served === undefined) return false
    this.#personal.set(deployment, record)
    const released = releasedOf(served)
    const now = weights === undefined ? released : { ...released, weights, released: released.weights }
    this.#serving.set(served.model, now)
    return now.weights.sha256 !== served.weights.sha256
  }

  /** What was fitted is forgotten: the version is served as it was released. @returns whether another one is served now */
  unfit(deployment: string): boolean {
    this.#personal.delete(deployment)
    let changed = false
    for (const models of [this.#serving, this.#former]) {
      for (const [model, known] of models) {
        if (known.deployment !== deployment || known.released === undefined) continue
        models.set(model, releasedOf(known))
        changed ||= models === this.#serving
      }
    }
    return changed
  }

  /** As `unfit`, of versions that are not to be fitted again with the same wish and data. */
  forgetFitted(deployments: readonly string[]): boolean {
    let changed = false
    for (const deployment of deployments) {
      const record = this.#personal.get(deployment)
      if (record === undefined) continue
      if (this.unfit(deployment)) changed = true
      const { key, own } = record
      this.#personal.set(deployment, { deployment, key, result: forgotten, forgotten: true, ...(own && { own }) })
    }
    return changed
  }

  /** Takes over everything that the device should serve now; what is missing is served no more. */
  follow(offers: readonly DeploymentOffer[]): void {
    const before = [...this.#known()]
    const wanted = new Map(offers.map(offer => [offer.deployment, offer]))
    const byModel = new Map(offers.map(offer => [offer.model, offer]))
    this.#wanted = wanted
    for (const known of before) {
      const { deployment, model } = known
      if (wanted.has(deployment)) continue
      const next = byModel.get(model)
      // Ids are by time: a newer deployment takes the place of an older one; otherwise the device goes back.
      if (next === undefined || next.deployment < deployment) this.#wentBack(known)
      this.#failed.delete(deployment)
      if (next === undefined) {
        this.#serving.delete(model)
        this.#former.delete(model)
      }
    }
    for (const { deployment, revision, model } of offers) {
      this.#gone.delete(deployment)
      const served = this.#serving.get(model)
      if (served?.deployment === deployment) this.#serving.set(model, { ...served, revision })
    }
    for (const [model, { deployment }] of this.#former) if (this.#gone.has(deployment)) this.#former.delete(model)
    const kept = new Set([...this.#serving.values(), ...this.#former.values()].map(({ deployment }) => deployment))
    for (const id of this.#personal.keys()) if (!kept.has(id) && !wanted.has(id)) this.#personal.delete(id)
  }

  /** A wanted deployment passed its check: it takes the place of the one before. */
  passed({ token: _, personalise: _wish, ...deployed }: DeploymentOffer): void {
    const before = this.#serving.get(deployed.model)
    this.#former.delete(deployed.model)
    if (before !== undefined && !this.#gone.has(before.deployment)) this.#former.set(deployed.model, before)
    this.#serving.set(deployed.model, deployed)
    this.#failed.delete(deployed.deployment)
  }

  /** A wanted deployment cannot be served; the one before stays. */
  failed({ deployment, revision, model }: DeploymentOffer, detail: string): void {
    this.#failed.set(deployment, { deployment, revision, model, detail })
  }

  /**
   * A version in service turned out bad: as it was released where it was fitted to this device, else the one before is served
   * again, or nothing.
   * @returns whether it was in service
   */
  unhealthy(deployment: string, detail: string): boolean {
    const served = [...this.#serving.values()].find(model => model.deployment === deployment)
    if (served === undefined) return false
    const { model, revision } = served
    const record = this.#personal.get(deployment)
    if (served.released !== undefined && record !== undefined) {
      const result = { outcome: 'failed', code: 'PERSONAL_UNHEALTHY', detail } as const
      this.fitted({ deployment, key: record.key, result, ...(record.own && { own: record.own }) })
      return true
    }
    const former = this.#former.get(model)
    this.#former.delete(model)
    if (former === undefined) this.#serving.delete(model)
    else this.#serving.set(model, former)
    this.#failed.set(deployment, { deployment, revision, model, detail })
    return true
  }

  /** Gives up what was served before. @returns whether there was anything */
  forgetFormer(): boolean {
    const some = this.#former.size > 0
    this.#former.clear()
    return some
  }

  /** A served version whose files are not here any more: it is prepared again. What its owner had forgotten stays so. */
  lost({ model, deployment }: DeployedModel): void {
    if (this.#personal.get(deployment)?.forgotten !== true) this.#personal.delete(deployment)
    this.#serving.delete(model)
  }

  /** What the device says at a check-in. */
  get states(): StateReport[] {
    const now = [...this.#known()].filter(({ deployment }) => this.#wanted?.has(deployment) ?? true)
    const gone = [...this.#gone.values()].map(known => ({ ...known, state: 'rolled-back' as const }))
    return [...now.map(({ model: _, ...report }) => report), ...gone]
  }

  /** sha256 of every file that is still needed. */
  get files(): ReadonlySet<string> {
    const all = [...this.#serving.values(), ...this.#former.values(), ...this.outstanding]
    const fitted = [...this.#personal.values()].flatMap(({ weights }) => weights ?? [])
    return new Set([...all.flatMap(filesOf), ...fitted].map(({ sha256 }) => sha256))
  }

  /** Bytes of the files of what is served, was served before, and of one more. */
  bytesWith(offer: Pick<DeployedModel, 'weights' | 'manifest' | 'graph' | 'released'>): number {
    const all = [...this.#serving.values(), ...this.#former.values(), offer]
    const sizes = new Map(all.flatMap(filesOf).map(({ sha256, bytes }) => [sha256, bytes]))
    return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  *#known(): Generator<StateReport & { readonly model: string }> {
    const seen = new Set<string>()
    for (const { deployment, revision, model } of this.#serving.values()) {
      seen.add(deployment)
      const record = this.#personal.get(deployment)
      const personalised = record?.own === true ? undefined : record?.result
      yield { deployment, revision, model, state: 'serving', detail: '', ...(personalised && { personalised }) }
    }
    for (const { deployment, revision, model, detail } of this.#failed.values()) {
      // Of another revision it is tried again.
      if (seen.has(deployment) || (this.#wanted?.get(deployment)?.revision ?? revision) !== revision) continue
      seen.add(deployment)
      yield { deployment, revision, model, state: 'unhealthy', detail }
    }
    for (const { deployment, revision, model } of this.#wanted?.values() ?? []) {
      if (!seen.has(deployment)) yield { deployment, revision, model, state: 'pulling', detail: '' }
    }
  }

  #wentBack({ deployment, revision, detail }: StateReport): void {
    this.#gone.delete(deployment)
    this.#gone.set(deployment, { deployment, revision, detail })
    const [oldest] = this.#gone.keys()
    if (this.#gone.size > mostGone && oldest !== undefined) this.#gone.delete(oldest)
  }
}
