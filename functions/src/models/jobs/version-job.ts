import { type ErrorCode, TributaryError } from '@tributary/contracts/errors'
import { Uuid } from '@tributary/contracts/ids'
import type { Refusal } from '@tributary/contracts/models'
import * as z from 'zod'
import type { Context } from '../../context.ts'
import { asJson, type Transaction } from '../../database/transaction.ts'
import type { InvocationHandler } from '../../invocation/invoked-function.ts'
import { systemActor } from '../../rounds/system-actor.ts'
import { type CheckedManifest, checkBundle } from '../check-bundle.ts'
import { compareWeights } from '../compare-weights.ts'
import { exportOnnx } from '../export-onnx.ts'
import { makeReady } from '../make-ready.ts'
import type { Progress } from '../stored-file.ts'
import { selectVersion, type VersionRow } from '../version-row.ts'
import { beatSeconds, type JobRow, mostRuns, silentSeconds } from './job.ts'

const Payload = z.object({ job: Uuid })

export type JobOutcome = 'done' | 'failed' | 'nothing'
type Parts = Pick<Context, 'database' | 'store' | 'audit' | 'log'>
type ClaimedJob = Pick<JobRow, 'id' | 'kind' | 'version' | 'other'> & { readonly model: string; readonly runs: number }

/** What a refusal says of the files; another run would find the same. */
const lasting: ReadonlySet<ErrorCode> = new Set([
  'MODEL_INVALID',
  'CHECKSUM_MISMATCH',
  'UPLOAD_MISSING',
  'NOT_FOUND',
  'EXPORT_TOO_LARGE',
  'VERSIONS_UNLIKE',
])

/**
 * Runs one job on a version. Started twice, at once or one after the other, it has one effect: one run claims it, another one only
 * when the first has fallen silent, and the end is conditional.
 */
export const versionJobHandler =
  (context: Parts): InvocationHandler =>
  async (payload, { signal }): Promise<JobOutcome> => {
    const job = await claim(context, Payload.parse(payload).job)
    if (job === undefined) return 'nothing'
    if (job.runs > mostRuns) return finish(context, job, { refusal: jobFailed })
    const started = performance.now()
    try {
      const result = await run(context, job, { signal, onProgress: heartbeat(context, job) })
      const outcome = await finish(context, job, { result })
      context.log.info({ ...job, outcome, millis: Math.round(performance.now() - started) }, 'a version job ended')
      return outcome
    } catch (error) {
      if (error instanceof TributaryError && lasting.has(error.code)) {
        context.log.warn({ ...job, error }, 'a version job found something wrong')
        return finish(context, job, { refusal: { code: error.code, detail: error.message } })
      }
      // Free for the next run at once.
      await context.database.read(
        sql => sql`update version_job set beat_at = null where id = ${job.id} and state = 'waiting'`,
      )
      throw error
    }
  }

const jobFailed: Refusal = { code: 'JOB_FAILED', detail: `${mostRuns} runs ended without a result` }

const claim = async ({ database }: Parts, id: string): Promise<ClaimedJob | undefined> => {
  const [job] = await database.read(
    sql => sql<ClaimedJob[]>`
      update version_job j set beat_at = now(), runs = runs + 1
      from model_version v
      where j.id = ${id} and v.id = j.version and j.state = 'waiting'
        and (j.beat_at is null or j.beat_at < now() - make_interval(secs => ${silentSeconds}))
      returning j.id, j.kind, j.version, j.other, v.model, j.runs`,
  )
  return job
}

const heartbeat = ({ database }: Parts, { id }: ClaimedJob): (() => Promise<void>) => {
  let last = performance.now()
  return async () => {
    if (performance.now() - last < beatSeconds * 1000) return
    last = performance.now()
    await database.read(sql => sql`update version_job set beat_at = now() where id = ${id} and state = 'waiting'`)
  }
}

const run = async (context: Parts, { kind, model, version, other }: ClaimedJob, progress: Progress) => {
  const select = (id: string): Promise<VersionRow> =>
    context.database.read(sql => selectVersion(sql, { model, version: id }))
  const row = await select(version)
  switch (kind) {
    case 'check':
      return checkBundle(context.store, row, progress)
    case 'export':
      await exportOnnx(context, row, progress)
      return null
    case 'compare':
      return compareWeights(context.store, row, await select(other ?? version), progress)
  }
}

const finish = (
  context: Parts,
  job: ClaimedJob,
  { result = null, refusal = null }: { result?: unknown; refusal?: Refusal | null },
): Promise<JobOutcome> =>
  context.database.transaction(async sql => {
    const state = refusal === null ? 'done' : 'failed'
    const ended = await sql`
      update version_job set state = ${state}, result = ${sql.json(asJson(result))}, refusal = ${sql.json(asJson(refusal))}
      where id = ${job.id} and state = 'waiting'`
    if (ended.count === 0) return 'nothing'
    if (job.kind === 'check') await settleCheck(context, sql, job.version, result as CheckedManifest, refusal)
    return state
  })

const settleCheck = async (
  { audit }: Parts,
  sql: Transaction,
  version: string,
  manifest: CheckedManifest,
  refusal: Refusal | null,
): Promise<void> => {
  if (refusal === null) {
    await makeReady({ audit }, sql, { version, from: 'checking', manifest, actor: systemActor })
    return
  }
  const moved = await sql`
    update model_version set state = 'refused', refusal = ${sql.json(asJson(refusal))}
    where id = ${version} and state = 'checking'`
  if (moved.count === 0) return
  await sql`delete from version_upload where version = ${version}`
  const subject = `version/${version}`
  audit.append(sql, { actor: systemActor, action: 'version.refused', subject, detail: refusal })
}
