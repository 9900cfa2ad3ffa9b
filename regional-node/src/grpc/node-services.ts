import type { AdmissionContext } from '../attempt/admission.ts'
import type { AttemptContext } from '../attempt/attempt-context.ts'
import type { ShardEvaluations } from '../evaluation/shard-evaluations.ts'
import type { Authentication } from './authenticate.ts'

/** What the methods of the gRPC service share. */
export type NodeServices = AdmissionContext &
  Pick<AttemptContext, 'clock' | 'presence' | 'cache' | 'metrics' | 'journal'> &
  Authentication & {
    readonly evaluations: ShardEvaluations
    readonly stallMillis: number
    readonly isDraining: () => boolean
  }
