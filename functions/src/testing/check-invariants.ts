import assert from 'node:assert/strict'
import { chainHash, genesisHash } from '../audit/chain.ts'
import type { Sql } from '../database/transaction.ts'
import { mostShownShards } from '../evaluation/close-evaluation.ts'

type Found = { readonly what: string }

/**
 * What DESIGN section 9 promises, as far as the tables show it, at any moment between two transactions.
 * @returns what is broken; empty when all holds
 */
export const brokenInvariants = async (sql: Sql): Promise<string[]> => {
  const found = await Promise.all([...rules.map(rule => rule(sql)), brokenChain(sql)])
  return found.flat().map(({ what }) => what)
}

/** @throws AssertionError with what is broken */
export const checkInvariants = async (sql: Sql): Promise<void> => assert.deepEqual(await brokenInvariants(sql), [])

const rules: readonly ((sql: Sql) => Promise<Found[]>)[] = [
  sql => sql<Found[]>`
    select 'task ' || task || ' has ' || count(*) || ' live attempts' as what from round_attempt
    where state in ('open', 'collecting', 'closing') group by task having count(*) > 1`,
  sql => sql<Found[]>`
    select 'task ' || t.id || ' is ' || t.state || ' with a live attempt' as what from round_attempt a join task t on t.id = a.task
    where a.state in ('open', 'collecting', 'closing') and t.state <> 'running'`,
  sql => sql<Found[]>`
    select 'attempt ' || task || '/' || round || '/' || attempt || ' is ' || state || ' without what belongs to it' as what
    from round_attempt
    where (state = 'committed') <> (version is not null) or (state = 'abandoned') <> (reason is not null)
      or (state in ('committed', 'abandoned')) <> (settled_at is not null)`,
  sql => sql<Found[]>`
    select 'attempts of task ' || task || ' round ' || round || ' have gaps' as what from round_attempt
    group by task, round having max(attempt) <> count(*) or count(*) filter (where state = 'committed') > 1`,
  // I2, I3
  sql => sql<Found[]>`
    select 'committed attempt ' || a.task || '/' || a.round || '/' || a.attempt || ' has not its version' as what
    from round_attempt a left join model_version v on v.id = a.version and v.task = a.task and v.round = a.round
      and v.attempt = a.attempt and v.parent = a.base_version and v.state = 'ready'
    where a.state = 'committed' and v.id is null`,
  sql => sql<Found[]>`
    select 'version ' || v.number || ' of task ' || v.task || ' has no committed attempt' as what
    from model_version v left join round_attempt a on a.version = v.id and a.state = 'committed'
    where v.task is not null and a.version is null`,
  sql => sql<Found[]>`
    select 'versions of task ' || t.id || ' are no line' as what from task t
    where t.rounds_committed <> (select count(*) from model_version v where v.task = t.id)
      or t.current_version <> coalesce((select v.id from model_version v where v.task = t.id and v.round = t.rounds_committed),
        t.start_version)
      or exists (
        select from model_version v where v.task = t.id and v.parent <> coalesce(
          (select p.id from model_version p where p.task = t.id and p.round = v.round - 1), t.start_version))`,
  sql => sql<Found[]>`
    select 'versions of model ' || model || ' have gaps' as what from model_version group by model
    having max(number) <> count(*) - 1`,
  sql => sql<Found[]>`
    select 'task ' || id || ' is ' || state || ' without what belongs to it' as what from task
    where (state in ('completed', 'failed', 'cancelled')) <> (finished_at is not null)
      or (state in ('paused', 'failed', 'cancelled') and reason is null) or (state in ('draft', 'queued', 'running') and reason is not null)
      or (state in ('running', 'paused') and started_at is null)`,
  // I5
  sql => sql<Found[]>`
    select 'a sum of attempt ' || task || '/' || round || '/' || attempt || ' is not of the pinned epoch' as what from attempt_shard
    where state = 'summed' and participation_key <> 'sums/' || task || '/' || round || '-' || attempt || '/' || region || '-'
      || shard || '-' || epoch || '.participation.jsonl'`,
  // I7, by its effects: no command twice.
  sql => sql<Found[]>`
    select type || ' went out ' || count(*) || ' times to ' || routing_key || ': ' || subject as what from (
      select routing_key, body ->> 'type' as type, coalesce(body -> 'data' ->> 'evaluation', concat_ws('/', body -> 'data' ->> 'task',
        body -> 'data' ->> 'round', body -> 'data' ->> 'attempt')) || coalesce(body -> 'data' ->> 'shards', '') as subject
      from outbox where body ->> 'type' in ('round.opened', 'round.settled', 'evaluation.opened', 'task.cancelled')) sent
    group by type, routing_key, subject having count(*) > 1`,
  sql => sql<Found[]>`
    select 'region ' || s.region || ' was not told what became of ' || a.task || '/' || a.round || '/' || a.attempt as what
    from round_attempt a join (select distinct task, round, attempt, region from attempt_shard) s
      on s.task = a.task and s.round = a.round and s.attempt = a.attempt
    where a.state in ('committed', 'abandoned') and not exists (
      select from outbox o where o.routing_key = 'region.' || s.region and o.body -> 'data' ->> 'task' = a.task::text
        and (o.body ->> 'type' = 'task.cancelled' or (o.body ->> 'type' = 'round.settled'
          and o.body -> 'data' ->> 'round' = a.round::text and o.body -> 'data' ->> 'attempt' = a.attempt::text)))`,
  sql => sql<Found[]>`
    select 'region ' || r.region || ' runs ' || count(*) || ' tasks in ' || r.task_slots || ' slots' as what
    from region r join task t on t.state = 'running'
      and (coalesce(t.regions, '{}') = '{}' or r.region = any(t.regions))
    group by r.region, r.task_slots having count(*) > r.task_slots`,
  sql => sql<Found[]>`
    select 'evaluation ' || e.id || ' is not the sum of its shards' as what from evaluation e
    where coalesce((e.metrics ->> 'examples')::numeric, 0) <> (
      select coalesce(sum((s.metrics ->> 'examples')::numeric), 0) from evaluation_shard s
      where s.evaluation = e.id and s.state = 'summed')
      -- Of more shards the sum is taken when it closes.
      and (e.state = 'closed' or (select count(*) from evaluation_shard s where s.evaluation = e.id) <= ${mostShownShards})`,
  // I13
  sql => sql<Found[]>`
    select 'the last audit entry of task ' || t.id || ' is ' || coalesce(last.action, 'missing') || ', it is ' || t.state as what
    from task t left join lateral (
      select action from audit_entry e where e.subject = 'task/' || t.id order by sequence desc limit 1) last on true
    where last.action is distinct from 'task.' || t.state
      and not (t.state = 'draft' and last.action in ('task.created', 'task.edited'))`,
  sql => sql<Found[]>`
    select 'attempt ' || a.task || '/' || a.round || '/' || a.attempt || ' is ' || a.state || ', audited ' || count(e.sequence)
      || ' times' as what
    from round_attempt a
      left join audit_entry e on e.subject = 'attempt/' || a.task || '/' || a.round || '/' || a.attempt
        and e.action = 'attempt.' || a.state
    group by a.task, a.round, a.attempt, a.state having count(e.sequence) <> 1`,
  sql => sql<Found[]>`
    select 'evaluation ' || v.id || ' is ' || v.state || ', its closing audited ' || count(e.sequence) || ' times' as what
    from evaluation v left join audit_entry e on e.subject = 'evaluation/' || v.id and e.action = 'evaluation.closed'
    group by v.id, v.state having count(e.sequence) <> (v.state = 'closed')::integer`,
]

const brokenChain = async (sql: Sql): Promise<Found[]> => {
  const rows = await sql<
    {
      sequence: number
      time: Date
      actor: string
      action: string
      subject: string
      detail: unknown
      previous: Buffer
      hash: Buffer
    }[]
  >`
    select sequence, time, actor, action, subject, detail, previous_hash as previous, hash from audit_entry order by sequence`
  let previous: Buffer = genesisHash
  for (const [index, { hash, previous: linked, time, ...row }] of rows.entries()) {
    const expected = chainHash(previous, { ...row, time: time.toISOString() })
    if (row.sequence !== index + 1 || !linked.equals(previous) || !hash.equals(expected)) {
      return [{ what: `the audit chain breaks at entry ${row.sequence}` }]
    }
    previous = hash
  }
  return []
}
