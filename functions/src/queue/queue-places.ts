import type { Sql } from '../database/transaction.ts'

/*
 * The queue. A region runs at most `task_slots` tasks at once; a task holds a slot in each of its regions while it is `running`,
 * with or without an attempt in flight. In each region with a limit the queued tasks stand in one line: higher priority first,
 * then who has waited longer. A task starts when it is, in every one of its lines, among as many first ones as slots are
 * free. So nobody is overtaken by a task of the same or a lower priority that wants less: while a task waits for its last
 * region, the slots that it will need elsewhere are kept for it. Having its turn it keeps it while it waits for devices,
 * which its selection deadline and attempts bound. Before `startAt` it stands in no line.
 */

/** Regions of row `t` of `task`; empty: all. */
const regions = (sql: Sql) => sql`coalesce(t.regions, array(select jsonb_array_elements_text(t.settings -> 'regions')))`

/** Every task in the queue: `id`; `position` in its longest line; `full`, the regions without a slot for it; `rank` over all. */
export const queuePlaces = (sql: Sql) => sql`
  with waiting as (
    select t.id, ${regions(sql)} as regions,
      row_number() over (order by t.priority desc, coalesce(t.queued_at, t.created_at), t.id) as rank
    from task t where t.state = 'queued' and (t.start_at is null or t.start_at <= now())
  ), limited as (
    select r.region, r.task_slots - (
      select count(*) from task t
      where t.state = 'running' and (${regions(sql)} = '{}' or r.region = any(${regions(sql)}))) as free
    from region r where r.task_slots is not null
  ), place as (
    select w.id, l.region, l.free, row_number() over (partition by l.region order by w.rank) as place
    from waiting w join limited l on w.regions = '{}' or l.region = any(w.regions)
  )
  select w.id, w.rank, coalesce(max(p.place), 1)::integer as position,
    coalesce(array_agg(p.region order by p.region) filter (where p.place > p.free), '{}') as "full"
  from waiting w left join place p on p.id = w.id group by w.id, w.rank`

/** The `QueuePlace` of a row of `task`, null unless it is queued. All places are worked out once, for the first queued row. */
export const queueColumn = (sql: Sql) => sql`
  case when state <> 'queued' then null
    when start_at > now() then '{"position":null,"waitingFor":"start-time","regions":[]}'::jsonb
    else (
      select jsonb_object_agg(q.id, jsonb_build_object('position', q.position, 'regions', q."full",
        'waitingFor', case when q."full" = '{}' then 'devices' else 'slots' end))
      from (${queuePlaces(sql)}) q
    ) -> task.id::text end`
