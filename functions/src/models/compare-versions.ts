import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { compareWeights, type WeightsComparison } from './compare-weights.ts'
import { jobResult } from './jobs/job-result.ts'
import { checkReady, selectVersion } from './version-row.ts'
import { selectVersionView } from './version-view.ts'

/** Of both files: what is read within a request; more is a job. */
const mostRequestBytes = 64 * 1024 ** 2

/** Metrics of two versions of one model, and how far their tensors are apart. */
export const compareVersions =
  (context: Pick<Context, 'database' | 'store' | 'ids' | 'startVersionJob'>): Handler<'compareVersions'> =>
  async ({ params: { model, version }, query: { with: other }, signal }) => {
    const [rows, views] = await context.database.read(async sql => [
      [await selectVersion(sql, { model, version }), await selectVersion(sql, { model, version: other })] as const,
      [
        await selectVersionView(sql, { model, version }),
        await selectVersionView(sql, { model, version: other }),
      ] as const,
    ])
    for (const row of rows) checkReady(row)
    const compared =
      rows[0].weights_bytes + rows[1].weights_bytes <= mostRequestBytes
        ? await compareWeights(context.store, rows[0], rows[1], { signal })
        : ((await jobResult(context, { kind: 'compare', version, other })) as WeightsComparison)
    return { version: views[0], other: views[1], ...compared }
  }
