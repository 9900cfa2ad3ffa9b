import { named, type Refusal } from './decide.ts'
import { isWithinHours } from './hours.ts'
import type { Policy } from './policy.ts'

/** A version that the device should serve, as far as the node says. */
export type DeploymentOfModel = {
  readonly model: { readonly id: string; readonly name: string }
  /** Whom the deployment is for; none: every device. */
  readonly groups: readonly string[]
}

/** What the owner lets be deployed and served here, as of one look at the policy. */
export type DeploymentRules = {
  /** The rule that forbids a version now; undefined where none does. */
  readonly refusal: (deployment: DeploymentOfModel) => Refusal | undefined
  /** Of the files of all versions that are kept; undefined where the owner sets no limit. */
  readonly mostBytes: number | undefined
}

export const diskRule = 'deployments.diskMegabytes'

/** Says which versions are served here at this time. */
export const deploymentRules = (
  { deployments: { models, groups, hours, diskMegabytes } }: Policy,
  now: Date,
): DeploymentRules => ({
  refusal: deployment => {
    const rules: readonly [string, () => boolean][] = [
      ...named('deployments.models', models, [deployment.model.id, deployment.model.name]),
      ...named('deployments.groups', groups, deployment.groups),
      ['deployments.hours', () => hours !== undefined && !isWithinHours(hours, now)],
    ]
    const found = rules.find(([, isRefused]) => isRefused())
    return found === undefined ? undefined : { rule: found[0] }
  },
  mostBytes: diskMegabytes === undefined ? undefined : diskMegabytes * 1_000_000,
})

/** While nobody knows what the owner wants, nothing is served. */
export const closedDeployments = (refusal: Refusal): DeploymentRules => ({
  refusal: () => refusal,
  mostBytes: undefined,
})
