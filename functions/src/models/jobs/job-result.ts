import { type ErrorCode, errorCodes, TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../../context.ts'
import { enqueueJob } from './enqueue-job.ts'
import { type JobRef, type JobRow, mostWaiting } from './job.ts'
import { restartJobs } from './restart-jobs.ts'

/**
 * The result of a job that somebody asks for; the first to ask starts it.
 * @throws TributaryError RESULT_PENDING until it is there, RATE_LIMITED while too many wait, and what the job was refused for
 */
export const jobResult = async (
  context: Pick<Context, 'database' | 'ids' | 'startVersionJob'>,
  ref: JobRef,
): Promise<unknown> => {
  const { kind, version, other } = ref
  const [job] = await context.database.read(
    sql => sql<Pick<JobRow, 'state' | 'result' | 'refusal'>[]>`
      select state, result, refusal from version_job
      where kind = ${kind} and version = ${version} and other is not distinct from ${other}`,
  )
  if (job?.state === 'done') return job.result
  if (job?.state === 'failed') throw refusalOf(job)
  if (job === undefined) {
    await context.database.transaction(async sql => {
      const [row] = await sql<{ waiting: number }[]>`
        select count(*)::integer as waiting from version_job where state = 'waiting'`
      if ((row?.waiting ?? 0) >= mostWaiting) {
        throw new TributaryError('RATE_LIMITED', { detail: 'too much work on versions waits; ask again later' })
      }
      await enqueueJob(context, sql, ref)
    })
  } else {
    // Whoever waits for it sees to it that somebody works on it.
    await restartJobs(context, version)
  }
  throw new TributaryError('RESULT_PENDING')
}

const refusalOf = ({ refusal }: Pick<JobRow, 'refusal'>): TributaryError => {
  const code = errorCodes.find(known => known === refusal?.code) ?? ('JOB_FAILED' satisfies ErrorCode)
  return new TributaryError(code, refusal === null ? {} : { detail: refusal.detail })
}
