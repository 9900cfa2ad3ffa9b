import type { EvaluationDescriptor } from '@tributary/contracts/round'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { shardBatches } from '../outbox/shard-batches.ts'
import { systemActor } from '../rounds/system-actor.ts'
import { readStatistics, readVersionObjects } from '../rounds/version-objects.ts'
import type { TaskRow } from '../tasks/task-row.ts'

type ShardRef = EvaluationDescriptor['shards'][number]

/**
 * Has a new version evaluated in the shards of the task's regions that have evaluators online, or trainers where the task
 * wants a share of them, in the transaction that commits it. Without a test set in the task, or with nobody there, there is
 * no evaluation: n = 0.
 */
export const openEvaluation = async (
  context: Context,
  sql: Transaction,
  task: TaskRow,
  { round, version }: { round: number; version: string },
): Promise<void> => {
  const { regions } = task
  const { evaluation: wish, trainer } = task.settings
  if (wish.dataset === null) return
  const shards = await sql<ShardRef[]>`
    select region, shard, epoch from region_shard
    where node is not null and lease_expires_at > now()
      and (evaluators_online > 0 or (${wish.cohortShare > 0} and devices_online > 0))
      and (${regions.length === 0} or region = any(${[...regions]}::text[]))
    order by region, shard`
  if (shards.length === 0) return
  const { weights, manifest, graph, model } = await readVersionObjects(sql, version)
  const { trainer: code, ...training } = trainer
  const descriptor: Omit<EvaluationDescriptor, 'shards'> = {
    evaluation: context.ids.next(),
    task: task.id,
    taskName: task.name,
    model,
    round,
    weights,
    manifest: task.manifest ?? manifest,
    graph,
    ...(await readStatistics(sql, task)),
    trainer: { ...training, ...(code === undefined ? {} : { trainer: code }) },
    dataset: wish.dataset,
    ...(wish.metrics !== undefined && { metrics: wish.metrics }),
    ...(wish.cohortShare > 0 && { cohortShare: wish.cohortShare }),
    deadline: new Date(context.clock.now().getTime() + wish.deadlineSeconds * 1000).toISOString(),
  }
  const { evaluation } = descriptor
  const opened = await sql`
    insert into evaluation (id, version, task, round, state, descriptor, deadline)
    values (${evaluation}, ${version}, ${task.id}, ${round}, 'open', ${sql.json(asJson(descriptor))}, ${descriptor.deadline})
    on conflict (version, task) do nothing`
  if (opened.count === 0) return
  await sql`
    insert into evaluation_shard (evaluation, region, shard, epoch, state)
    select ${evaluation}, s.region, s.shard, s.epoch, 'open'
    from jsonb_to_recordset(${sql.json(asJson(shards))}) as s (region text, shard integer, epoch integer)`
  const subject = `evaluation/${evaluation}`
  context.audit.append(sql, { actor: systemActor, action: 'evaluation.open', subject, detail: { version, round } })
  for (const [region, own] of shardBatches(shards)) {
    await context.outbox.appendCommand(sql, region, 'evaluation.opened', { ...descriptor, shards: own })
  }
}
