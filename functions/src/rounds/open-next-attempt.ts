import { TributaryError } from '@tributary/contracts/errors'
import type { AttemptRef } from '@tributary/contracts/ids'
import type { RoundDescriptor } from '@tributary/contracts/round'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { hasTurn } from '../queue/has-turn.ts'
import { balanceLeases } from '../regional-nodes/balance-leases.ts'
import { moveTask } from '../tasks/move-task.ts'
import { lockTask, type TaskRow } from '../tasks/task-row.ts'
import { announceAttempt } from './announce-attempt.ts'
import { type Cohort, cohortOf } from './cohort-of.ts'
import { failTask } from './fail-task.ts'
import { type AttemptPlan, planAttempt, shortageOnline } from './plan-attempt.ts'
import { countEligible, readLeasedShards } from './shard-capacities.ts'
import { stopAfterTime } from './stop-after-time.ts'
import { sumRuleOf } from './sum-rule.ts'
import { systemActor } from './system-actor.ts'
import { readStatistics, readVersionObjects } from './version-objects.ts'
import { waitForDevices } from './wait-for-devices.ts'

type OpenPlan = Extract<AttemptPlan, { kind: 'open' }>

/**
 * Opens the next attempt of a task where that is due: the task is running, or has its turn in the queue, none of its attempts
 * is live, and enough devices are online. Otherwise the wait for devices runs, until the selection deadline counts it as an attempt.
 * Whoever changes what an attempt depends on calls it in the same transaction; calling it again changes nothing.
 */
export const openNextAttempt = async (context: Context, sql: Transaction, taskId: string): Promise<void> => {
  // Two statements in one flight: the second one's snapshot is taken after the lock is granted.
  const [task, [last]] = await Promise.all([
    lockTask(sql, taskId, { place: false }),
    sql<{ attempt: number; settled: boolean }[]>`
      select a.attempt, a.state in ('committed', 'abandoned') as settled
      from task t join round_attempt a on a.task = t.id and a.round = t.rounds_committed + 1
      where t.id = ${taskId} order by a.attempt desc limit 1`,
  ])
  if (task === undefined || (task.state !== 'queued' && task.state !== 'running')) return
  const round = task.roundsCommitted + 1
  if (last !== undefined && !last.settled) return
  if (task.state === 'running' && (await stopAfterTime(context, sql, task))) return
  if (task.state === 'queued' && !(await hasTurn(sql, task))) return endWait(sql, task)
  const ref: AttemptRef = { task: task.id, round, attempt: (last?.attempt ?? 0) + 1 }
  const cohort = cohortOf(task.settings)
  const { regions } = task
  await balanceLeases(context, sql, regions)
  const shards = await readLeasedShards(sql, regions)
  const shortage = shortageOnline(cohort.size, shards)
  if (shortage !== null) return waitForDevices(context, sql, task, ref, shortage)
  const plan = planAttempt(cohort.size, await countEligible(sql, shards, cohort.policy))
  if (plan.kind === 'wait') return waitForDevices(context, sql, task, ref, plan.detail)
  const descriptor = await describe(context, sql, task, ref, { ...plan, cohort })
  if (descriptor === undefined) return
  await insertAttempt(sql, ref, plan, descriptor)
  await endWait(sql, task)
  await moveTask(context, sql, task.id, 'run', { actor: systemActor })
  context.audit.append(sql, {
    actor: systemActor,
    action: 'attempt.open',
    subject: `attempt/${ref.task}/${ref.round}/${ref.attempt}`,
    detail: { goal: plan.goal, select: plan.select, base: descriptor.base.sha256 },
  })
  await announceAttempt(context, sql, descriptor, plan.shards)
}

const endWait = async (sql: Transaction, { id, waitingSince }: TaskRow): Promise<void> => {
  if (waitingSince !== null) await sql`update task set waiting_since = null where id = ${id}`
}

/** The descriptor without shards; undefined when the task failed, since no exact sum has room for so many updates. */
const describe = async (
  context: Context,
  sql: Transaction,
  task: TaskRow,
  ref: AttemptRef,
  { select, cohort }: { readonly select: number; readonly cohort: Cohort },
): Promise<Omit<RoundDescriptor, 'shards'> | undefined> => {
  const { settings } = task
  try {
    const sum = sumRuleOf(settings, select)
    const [objects, statistics, [clock]] = await Promise.all([
      readVersionObjects(sql, task.currentVersion),
      readStatistics(sql, task),
      sql<{ now: Date }[]>`select date_trunc('milliseconds', now()) as now`,
    ])
    const opened = (clock as { now: Date }).now.getTime()
    const after = (seconds: number) => new Date(opened + seconds * 1000).toISOString()
    const { selectionSeconds, roundSeconds } = settings.deadlines
    const { trainer, ...training } = settings.trainer
    return {
      ...ref,
      taskName: task.name,
      model: objects.model,
      openedAt: after(0),
      selectionDeadline: after(selectionSeconds),
      deadline: after(selectionSeconds + roundSeconds),
      base: objects.weights,
      manifest: task.manifest ?? objects.manifest,
      graph: objects.graph,
      ...statistics,
      trainer: { ...training, ...(trainer === undefined ? {} : { trainer }) },
      cohort: cohort.policy,
      sum,
      taskSeed: task.seed,
    }
  } catch (error) {
    if (!(error instanceof TributaryError) || error.code !== 'SUM_WOULD_OVERFLOW') throw error
    await failTask(context, sql, task.id, { code: error.code, detail: error.message })
    return undefined
  }
}

const insertAttempt = async (
  sql: Transaction,
  ref: AttemptRef,
  plan: OpenPlan,
  descriptor: Omit<RoundDescriptor, 'shards'>,
): Promise<void> => {
  await sql`
    insert into round_attempt (task, round, attempt, state, base_version, goal, selected, descriptor, opened_at, deadline)
    values (${ref.task}, ${ref.round}, ${ref.attempt}, 'open', ${descriptor.base.version}, ${plan.goal}, ${plan.select},
      ${sql.json(asJson(descriptor))}, ${descriptor.openedAt}, ${descriptor.deadline})`
  await sql`
    insert into attempt_shard (task, round, attempt, region, shard, epoch, state, goal, to_select)
    select ${ref.task}, ${ref.round}, ${ref.attempt}, plan.region, plan.shard, plan.epoch, 'open', plan.goal, plan."select"
    from jsonb_to_recordset(${sql.json(asJson(plan.shards))})
      as plan (region text, shard integer, epoch integer, goal integer, "select" integer)`
}
