import type { Context } from '../context.ts'
import { recordDeploymentReports } from '../deployments/record-reports.ts'
import type { Handler } from '../http/handler.ts'
import { runDueWork } from '../rounds/due-work.ts'
import { raiseEpochs } from './raise-epochs.ts'
import { readAnswer } from './read-answer.ts'
import { recordDatasets } from './record-datasets.ts'
import { recordPresence } from './record-presence.ts'
import { recordProgress } from './record-progress.ts'
import { renewLeases } from './renew-leases.ts'

/** A node waits 4 s for its answer; without one its leases run out, so much due work must not cost it that. */
const dueWorkMillis = 1500

/**
 * A node's heartbeat: leases, progress and presence in, everything that the node must know out. What it makes due (a task
 * that waited for its devices, say) is done before the answer is read.
 * @throws TributaryError NOT_FOUND
 */
export const reportNodeStatus =
  (context: Context): Handler<'reportNodeStatus'> =>
  async ({ params, body, signal, log }) => {
    const caller = await context.database.transaction(async sql => {
      const caller = await renewLeases(context, sql, params.node, body)
      await raiseEpochs(sql, caller)
      await recordProgress(context, sql, caller, body.progress)
      await recordPresence(sql, caller, body)
      await recordDatasets(sql, caller, body)
      await recordDeploymentReports(sql, caller, body)
      return caller
    })
    // The leases are renewed; the node must hear of it even if other work fails here.
    const time = AbortSignal.any([signal, AbortSignal.timeout(dueWorkMillis)])
    await runDueWork(context, time).catch(error => log.error({ error }, 'due work failed; the next call tries again'))
    return context.database.transaction(sql => readAnswer(sql, caller, body))
  }
