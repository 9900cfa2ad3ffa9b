import { TributaryError } from '@tributary/contracts/errors'
import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Sql, Transaction } from '../database/transaction.ts'
import { reviewDeployment } from '../deployments/review-deployment.ts'
import { closeEvaluation } from '../evaluation/close-evaluation.ts'
import { lockEvaluation } from '../evaluation/lock-evaluation.ts'
import { queuePlaces } from '../queue/queue-places.ts'
import { lockTask } from '../tasks/task-row.ts'
import { abandonAttempt } from './abandon-attempt.ts'
import { decideAttempt } from './decide-attempt.ts'
import { openNextAttempt } from './open-next-attempt.ts'
import { mergeGraceSeconds, mergeSilenceSeconds, shardGraceSeconds } from './settlement-times.ts'
import { stopAfterTime } from './stop-after-time.ts'

/** The regions sum up what evaluators reported by the deadline, and say so within this time. */
const evaluationGraceSeconds = 15
const relaySilenceSeconds = 5
const mostItems = 50

type DueItem =
  | { readonly kind: 'open' | 'stop'; readonly task: string }
  | ({ readonly kind: 'deadline' | 'merge' | 'participation' } & AttemptRef)
  | { readonly kind: 'evaluation'; readonly evaluation: string }
  | { readonly kind: 'deployment'; readonly deployment: string }
  | { readonly kind: 'relay' }

/**
 * Does what time alone makes due: turns in the queue, waits for devices, passed deadlines, merges and messages that got lost. Every status call
 * and the sweep run it; with nothing to do it is one query over partial indexes. Each item is a transaction of its own.
 * @returns how many items were due
 */
export const runDueWork = async (context: Context, signal?: AbortSignal): Promise<number> => {
  const items = await context.database.read(findDueWork)
  for (const item of items) {
    if (signal?.aborted) break
    try {
      if (item.kind === 'relay') await context.wakeRelay()
      else await context.database.transaction(sql => runItem(context, sql, item))
    } catch (error) {
      // One task with a defect must not hold up the others; without a database there is nothing to go on with.
      if (error instanceof TributaryError && error.code === 'UNAVAILABLE') throw error
      context.log.error({ error, item }, 'due work failed; the next call tries again')
    }
  }
  return items.length
}

// Running tasks that wait are drawn: in a fixed order those at the front, which may wait for long, would keep others from their
// turn. Of the queue those come that have their turn; it is read only where a task is queued.
const findDueWork = (sql: Sql): Promise<DueItem[]> => sql<DueItem[]>`
  (select 'open' as kind, t.id as task, null::integer as round, null::integer as attempt, null::uuid as evaluation,
      null::uuid as deployment
    from task t where t.state = 'running'
      and not exists (select from round_attempt a where a.task = t.id and a.state in ('open', 'collecting', 'closing'))
    order by random() limit ${mostItems})
  union all
  (select 'open', q.id, null, null, null, null from (${queuePlaces(sql)}) q where q."full" = '{}' order by random() limit ${mostItems})
  union all
  (select 'stop', id, null, null, null, null from task where state = 'running' and stop_at <= now() limit ${mostItems})
  union all
  (select 'deadline', task, round, attempt, null, null from round_attempt
    where state in ('open', 'collecting') and deadline < now() - make_interval(secs => ${shardGraceSeconds}) limit ${mostItems})
  union all
  (select 'merge', task, round, attempt, null, null from round_attempt
    where state = 'closing' and merge_started_at < now() - make_interval(secs => ${mergeSilenceSeconds}) limit ${mostItems})
  union all
  (select 'participation', task, round, attempt, null, null from round_attempt
    where participation_due and coalesce(merge_started_at, settled_at) < now() - make_interval(secs => ${mergeSilenceSeconds})
      and settled_at < now() - make_interval(secs => ${mergeSilenceSeconds}) limit ${mostItems})
  union all
  (select 'evaluation', null, null, null, id, null from evaluation
    where state = 'open' and deadline < now() - make_interval(secs => ${evaluationGraceSeconds}) limit ${mostItems})
  union all
  (select 'deployment', null, null, null, null, id from deployment where look_at <= now() limit ${mostItems})
  union all
  (select 'relay', null, null, null, null, null where exists (
    select from outbox where sent_at is null and created_at < now() - make_interval(secs => ${relaySilenceSeconds})))`

const runItem = async (
  context: Context,
  sql: Transaction,
  item: Exclude<DueItem, { kind: 'relay' }>,
): Promise<void> => {
  switch (item.kind) {
    case 'open':
      return openNextAttempt(context, sql, item.task)
    case 'stop': {
      const task = await lockTask(sql, item.task)
      return void (task && (await stopAfterTime(context, sql, task)))
    }
    case 'deadline': {
      const task = await lockTask(sql, item.task)
      return task && decideAttempt(context, sql, task, refOf(item))
    }
    case 'merge':
      return restartMerge(context, sql, refOf(item))
    case 'participation':
      return restartImport(context, sql, refOf(item))
    case 'evaluation': {
      const known = await lockEvaluation(sql, item.evaluation)
      return known && closeEvaluation(context, sql, known.task, item.evaluation, { atOnce: true })
    }
    case 'deployment':
      return reviewDeployment(context, sql, item.deployment)
  }
}

const refOf = ({ task, round, attempt }: AttemptRef): AttemptRef => ({ task, round, attempt })

const restartMerge = async (context: Context, sql: Transaction, ref: AttemptRef): Promise<void> => {
  const task = await lockTask(sql, ref.task)
  const [attempt] = await sql<{ over: boolean }[]>`
    update round_attempt set merge_started_at = now()
    where task = ${ref.task} and round = ${ref.round} and attempt = ${ref.attempt} and state = 'closing'
      and merge_started_at < now() - make_interval(secs => ${mergeSilenceSeconds})
    returning deadline + make_interval(secs => ${mergeGraceSeconds}) < now() as over`
  if (task === undefined || attempt === undefined) return
  if (attempt.over) {
    const detail = `the merge fell silent, more than ${mergeGraceSeconds} s after the deadline`
    return abandonAttempt(context, sql, task, ref, { code: 'UNAVAILABLE', detail })
  }
  context.log.warn({ attempt: attemptKey(ref) }, 'a merge fell silent and is started again')
  sql.afterCommit(`merge ${attemptKey(ref)}`, () => context.startMerge(ref))
}

/** The participation lists of an abandoned attempt were not taken in, or not wholly: the merge function begins again. */
const restartImport = async (context: Context, sql: Transaction, ref: AttemptRef): Promise<void> => {
  const due = await sql`
    update round_attempt set merge_started_at = now()
    where task = ${ref.task} and round = ${ref.round} and attempt = ${ref.attempt} and participation_due
      and coalesce(merge_started_at, settled_at) < now() - make_interval(secs => ${mergeSilenceSeconds})`
  if (due.count === 1) sql.afterCommit(`merge ${attemptKey(ref)}`, () => context.startMerge(ref))
}
