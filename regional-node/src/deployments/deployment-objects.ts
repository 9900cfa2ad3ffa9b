import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectRef } from '@tributary/contracts/ids'
import { type Clock, pause } from '../clock.ts'
import type { Journal } from '../journal/journal.ts'
import type { CachedObject, ObjectCache } from '../storage/object-cache.ts'
import type { RegionDeployments } from './region-deployments.ts'

/** A device that asks waits so long at most; then it asks again, before it takes the pull for dead. */
const waitMillis = 5000
/** After a failure storage is not asked for the object again for so long, however many devices ask. */
const failureMillis = 10_000

type Parts = {
  readonly cache: Pick<ObjectCache, 'peek' | 'acquire'>
  readonly deployments: Pick<RegionDeployments, 'find'>
  readonly clock: Clock
  readonly journal: Pick<Journal, 'report'>
  /** Ends fetches when the node stops. */
  readonly stop: AbortSignal
}

/** Files of deployed versions, fetched into the model cache when the first device asks, and again where they had to make room. */
export class DeploymentObjects {
  readonly #parts: Parts
  readonly #fetching = new Map<string, Promise<void>>()
  /** Until when an object counts as failed, monotonic. */
  readonly #failed = new Map<string, number>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * @returns the object, pinned until disposed
   * @throws TributaryError TOKEN_INVALID where the deployment is over, UNAVAILABLE while the object is being fetched
   */
  async acquire(deployment: string, sha256: string): Promise<CachedObject> {
    const { cache, deployments, clock, stop } = this.#parts
    const kept = cache.peek(sha256)
    if (kept !== null) return kept
    const object = objectsOf(deployments.find(deployment)).find(candidate => candidate.sha256 === sha256)
    if (object === undefined) {
      throw new TributaryError('TOKEN_INVALID', { detail: 'The version is deployed here no more. Check in again.' })
    }
    if ((this.#failed.get(sha256) ?? 0) <= clock.monotonic()) {
      const waited = new AbortController()
      await Promise.race([
        this.#fetch(object),
        pause(clock, waitMillis, AbortSignal.any([stop, waited.signal])).catch(() => {}),
      ])
      waited.abort()
    }
    const fetched = cache.peek(sha256)
    if (fetched !== null) return fetched
    throw new TributaryError('UNAVAILABLE', { detail: 'The object is being fetched. Ask again in some seconds.' })
  }

  /** Never rejects. */
  #fetch(object: ObjectRef): Promise<void> {
    const running = this.#fetching.get(object.sha256) ?? this.#run(object)
    this.#fetching.set(object.sha256, running)
    return running
  }

  async #run(object: ObjectRef): Promise<void> {
    const { cache, clock, journal, stop } = this.#parts
    try {
      using _fetched = await cache.acquire(object, stop)
      this.#failed.delete(object.sha256)
    } catch (error) {
      if (stop.aborted) return
      const now = clock.monotonic()
      for (const [sha256, until] of this.#failed) if (until <= now) this.#failed.delete(sha256)
      this.#failed.set(object.sha256, now + failureMillis)
      const code = error instanceof TributaryError ? error.code : 'UNAVAILABLE'
      journal.report('error', `a deployed file cannot be fetched: ${(error as Error).message}`, { code })
    } finally {
      this.#fetching.delete(object.sha256)
    }
  }
}

const objectsOf = (descriptor: ReturnType<RegionDeployments['find']>): ObjectRef[] =>
  descriptor === undefined ? [] : [descriptor.manifest, descriptor.graph, descriptor.weights]
