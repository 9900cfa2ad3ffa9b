import type { DeploymentDescriptor } from '@tributary/contracts/deployments'
import type { NodeStatusAnswer } from '@tributary/contracts/node-status'
import { fitsTarget } from '@tributary/learning/deployment-target'
import { inDeploymentShare } from '@tributary/learning/seeded/deployment-share'
import type { KnownDevice } from '../devices/device-directory.ts'

type Known = {
  readonly descriptor: DeploymentDescriptor
  /** When the command that told of it was written, ms; of the level: when that was read. */
  readonly toldAt: number
}

/**
 * The versions that devices of the region should serve: the level of the last status answer, and whatever commands said since. Nothing
 * is kept of devices: what one should serve follows from its id, groups and labels.
 */
export class RegionDeployments {
  #known: ReadonlyMap<string, Known> = new Map()
  /** The newest first: ids are by time. */
  #newestFirst: readonly DeploymentDescriptor[] = []
  #region = ''
  #heardAt = Number.NEGATIVE_INFINITY
  readonly #onReleased: (concerns: (device: KnownDevice) => boolean) => void

  /** @param onReleased told of each command that is taken over, with which devices should serve another version by it */
  constructor(onReleased: (concerns: (device: KnownDevice) => boolean) => void = () => {}) {
    this.#onReleased = onReleased
  }

  /** Takes the level over. A command that is newer stays: the answer may have been read before it. */
  heard({ time, region, deployments = [] }: Pick<NodeStatusAnswer, 'time' | 'region' | 'deployments'>): void {
    const toldAt = Date.parse(time)
    const now = new Map<string, Known>()
    for (const [id, known] of this.#known) if (known.toldAt > toldAt) now.set(id, known)
    for (const descriptor of deployments) {
      const known = this.#known.get(descriptor.deployment)
      const newer = known !== undefined && known.descriptor.revision > descriptor.revision
      now.set(descriptor.deployment, newer ? known : { descriptor, toldAt })
    }
    this.#region = region
    this.#heardAt = toldAt
    this.#keep(now)
  }

  /**
   * Takes a command over, unless a newer revision is known.
   * @returns true where central must be asked: the command is older than an answer that did not name the deployment
   */
  released(descriptor: DeploymentDescriptor, commandTime: string): boolean {
    const known = this.#known.get(descriptor.deployment)
    const toldAt = Date.parse(commandTime)
    if (known === undefined && toldAt < this.#heardAt) return true
    if (known !== undefined && known.descriptor.revision >= descriptor.revision) return false
    const before = this.#newestFirst
    this.#keep(new Map(this.#known).set(descriptor.deployment, { descriptor, toldAt }))
    const servedBy = (list: readonly DeploymentDescriptor[], device: KnownDevice) =>
      this.#chosen(list, device).get(descriptor.model)?.deployment
    this.#onReleased(device => servedBy(before, device) !== servedBy(this.#newestFirst, device))
    return false
  }

  /** What a device should serve: of each model the newest deployment that is for it. */
  of(device: KnownDevice): DeploymentDescriptor[] {
    return [...this.#chosen(this.#newestFirst, device).values()]
  }

  /** By model. */
  #chosen(
    newestFirst: readonly DeploymentDescriptor[],
    { device, groups, labels = {} }: KnownDevice,
  ): ReadonlyMap<string, DeploymentDescriptor> {
    const targeted = { region: this.#region, groups, labels }
    const chosen = new Map<string, DeploymentDescriptor>()
    for (const descriptor of newestFirst) {
      const { deployment, model, target, share } = descriptor
      if (chosen.has(model) || !fitsTarget(target, targeted)) continue
      if (inDeploymentShare(deployment, device, share)) chosen.set(model, descriptor)
    }
    return chosen
  }

  find(deployment: string): DeploymentDescriptor | undefined {
    return this.#known.get(deployment)?.descriptor
  }

  #keep(known: ReadonlyMap<string, Known>): void {
    this.#known = known
    this.#newestFirst = [...known.values()]
      .map(({ descriptor }) => descriptor)
      .sort((a, b) => (a.deployment < b.deployment ? 1 : -1))
  }
}
