import type { Sql } from '../database/transaction.ts'

/** Something that needs a version: which kind of thing, and its id or name. */
export type VersionReference = { readonly kind: string; readonly id: string }

/**
 * What may refer to a version `v` of `model_version`, as queries of one text column. Whatever is added to the system and needs a
 * version's files adds its query here, and takes its version by `holdVersion`; then deletion and retention let it be.
 */
const references: readonly { readonly kind: string; readonly find: (sql: Sql) => ReturnType<Sql> }[] = [
  { kind: 'alias', find: sql => sql`select a.alias from model_alias a where a.version = v.id` },
  {
    // Rolling back must find it.
    kind: 'alias-before',
    find: sql => sql`
      select a.alias from model_alias a
      join model_alias_change c on c.id = a.change
      join model_alias_change b on b.id = c.before
      where a.model = v.model and b.version = v.id`,
  },
  {
    kind: 'task',
    find: sql => sql`
      select t.id::text from task t where t.start_version = v.id
      union select t.id::text from task t where t.current_version = v.id
      union select t.id::text from task t where t.statistics = v.id`,
  },
  {
    kind: 'attempt',
    find: sql => sql`
      select concat_ws('/', a.task, a.round, a.attempt) from round_attempt a
      where a.base_version = v.id and a.state in ('open', 'collecting', 'closing')`,
  },
  {
    kind: 'evaluation',
    find: sql => sql`select e.id::text from evaluation e where e.version = v.id and e.state = 'open'`,
  },
  {
    kind: 'deployment',
    find: sql => sql`
      select d.id::text from deployment d where d.version = v.id and d.state in ('rolling-out', 'paused', 'released')
      union select d.id::text from deployment d join deployment n on n.id = d.superseded_by
        where d.version = v.id and d.state = 'superseded' and d.released_at is not null
          and n.state in ('rolling-out', 'paused', 'released')`,
  },
  {
    kind: 'job',
    find: sql => sql`
      select j.id::text from version_job j where j.version = v.id and j.state = 'waiting'
      union select j.id::text from version_job j where j.other = v.id and j.state = 'waiting'`,
  },
]

/** One query of `kind` and `id` over a version `v` that stands in the query around it. */
export const referencesTo = (sql: Sql) =>
  references
    .map(({ kind, find }) => sql`select ${kind}::text as kind, found.id from (${find(sql)}) found (id)`)
    .reduce((all, query) => sql`${all} union all ${query}`)

/** The first of the references to a version; none means that it may go. */
export const referencesOfVersion = (sql: Sql, version: string, most = 20): Promise<VersionReference[]> =>
  sql<VersionReference[]>`
    select r.kind, r.id from model_version v cross join lateral (${referencesTo(sql)}) r
    where v.id = ${version} limit ${most}`
