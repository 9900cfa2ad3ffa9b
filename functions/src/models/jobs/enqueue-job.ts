import type { Context } from '../../context.ts'
import type { Transaction } from '../../database/transaction.ts'
import type { JobRef } from './job.ts'

/** Notes a job and starts it after the commit. The same job twice is one; a start that is lost is made good by the sweep. */
export const enqueueJob = async (
  { ids, startVersionJob }: Pick<Context, 'ids' | 'startVersionJob'>,
  sql: Transaction,
  { kind, version, other }: JobRef,
): Promise<void> => {
  const id = ids.next()
  const inserted = await sql`
    insert into version_job (id, kind, version, other, state) values (${id}, ${kind}, ${version}, ${other}, 'waiting')
    on conflict do nothing`
  if (inserted.count === 1) sql.afterCommit(`version-job:${id}`, () => startVersionJob(id))
}
