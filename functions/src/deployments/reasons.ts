import type { Reason } from '../rounds/reason.ts'

// Not refusals, so not of the catalogue.
export const supersededBy = (deployment: string): Reason => ({
  code: 'SUPERSEDED',
  detail: `Deployment ${deployment} takes its place.`,
})
export const rolledBackBy = (actor: string): Reason => ({ code: 'ROLLED_BACK', detail: `Rolled back by ${actor}.` })
export const unhealthy = (
  { unhealthy, reports }: { unhealthy: number; reports: number },
  { maximumUnhealthyShare }: { maximumUnhealthyShare: number },
): Reason => ({
  code: 'UNHEALTHY',
  detail: `${unhealthy} of ${reports} devices could not serve the version; at most a share of ${maximumUnhealthyShare} may fail.`,
})
