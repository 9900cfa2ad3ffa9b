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
  with waiting as materialized (
    select t.id, ${regions(sql)} as regions,
      row_number() over (order by t.priority desc, coalesce(t.queued_at, t.created_at), t.id) as rank
    from task t where t.state = 'queued' and (t.start_at is null or t.start_at <= now())
  ), running as materialized (
    select ${regions(sql)} as regions from task t where t.state = 'running'
  ), limited as materialized (
    select r.region, r.task_slots - (
      select count(*) from running t where t.regions = '{}' or r.region = any(t.regions)) as free
    from region r where r.task_slots is not null
  ), line as (
    select w.id, w.rank, l.region, l.free, row_number() over (partition by l.region order by w.rank) as place
    from waiting w left join limited l on w.regions = '{}' or l.region = any(w.regions)
  )
  select id, rank, coalesce(max(place) filter (where region is not null), 1)::integer as position,
    coalesce(array_agg(region order by region) filter (where place > free), '{}') as "full"
  from line group by id, rank`

/** A `QueuePlace` of a row `q` of `queuePlaces`. */
const place = (sql: Sql) => sql`
  jsonb_build_object('position', q.position, 'regions', q."full",
    'waitingFor', case when q."full" = '{}' then 'devices' else 'slots' end)`

const ownRegions = (sql: Sql) => sql`
  coalesce(task.regions, array(select jsonb_array_elements_text(task.settings -> 'regions')))`

/** Where none of its regions has a limit there is no line to stand in, and none to be worked out. */
const placeUnlessIdle = (sql: Sql, found: ReturnType<typeof place>) => sql`
  case when state <> 'queued' then null
    when start_at > now() then '{"position":null,"waitingFor":"start-time","regions":[]}'::jsonb
    when not exists (
      select from region r, (select ${ownRegions(sql)} as regions) own
      where r.task_slots is not null and (own.regions = '{}' or r.region = any(own.regions)))
      then '{"position":1,"waitingFor":"devices","regions":[]}'::jsonb
    else ${found} end`

/** The `QueuePlace` of each row of `task`, null unless it is queued. All places are worked out once, for the first queued row. */
export const queueColumn = (sql: Sql) =>
  placeUnlessIdle(
    sql,
    sql`(select jsonb_object_agg(q.id, ${place(sql)}) from (${queuePlaces(sql)}) q) -> task.id::text`,
  )

/** As `queueColumn`, for a statement over a single row. */
export const queueColumnOfOne = (sql: Sql) =>
  placeUnlessIdle(sql, sql`(select ${place(sql)} from (${queuePlaces(sql)}) q where q.id = task.id)`)
