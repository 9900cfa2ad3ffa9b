import type { AdmissionContext } from '../attempt/admission.ts'
import type { AttemptContext } from '../attempt/attempt-context.ts'
import type { DeploymentObjects } from '../deployments/deployment-objects.ts'
import type { DeploymentReports } from '../deployments/deployment-reports.ts'
import type { RegionDeployments } from '../deployments/region-deployments.ts'
import type { DescriptionReport } from '../devices/description-report.ts'
import type { ShardEvaluations } from '../evaluation/shard-evaluations.ts'
import type { Authentication } from './authenticate.ts'

/** What the methods of the gRPC service share. */
export type NodeServices = AdmissionContext &
  Pick<AttemptContext, 'clock' | 'presence' | 'cache' | 'metrics' | 'journal' | 'statusChanged'> &
  Authentication & {
    readonly evaluations: ShardEvaluations
    readonly deployments: RegionDeployments
    readonly deploymentReports: DeploymentReports
    readonly descriptionReport: DescriptionReport
    readonly deploymentObjects: DeploymentObjects
    readonly stallMillis: number
    readonly isDraining: () => boolean
  }
