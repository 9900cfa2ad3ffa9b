import type { DeploymentHealth, DeploymentStage } from '@tributary/contracts/deployments'

export type Evidence = {
  /** Devices that say of the current revision that they serve the version, and that they cannot. */
  readonly serving: number
  readonly unhealthy: number
  /** Whether the stage has lasted long enough. */
  readonly held: boolean
  readonly stage: Pick<DeploymentStage, 'minimumServing'>
  readonly health: DeploymentHealth
}

/**
 * Whether a stage may end: `unhealthy` before all else, `ready` once it was held, is healthy and enough devices serve the version.
 * Devices that are still pulling tell nothing yet.
 */
export const judgeDeployment = ({
  serving,
  unhealthy,
  held,
  stage,
  health,
}: Evidence): 'unhealthy' | 'ready' | 'waiting' => {
  const reports = serving + unhealthy
  if (reports >= health.minimumReports && unhealthy > health.maximumUnhealthyShare * reports) return 'unhealthy'
  return held && serving >= stage.minimumServing ? 'ready' : 'waiting'
}
