import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'

export const createModel =
  ({ audit, ids, clock }: Pick<Context, 'audit' | 'ids' | 'clock'>): Handler<'createModel'> =>
  async ({ body: { name, description }, actor }, sql) => {
    const id = ids.next()
    const createdAt = clock.now()
    const created = await sql`
      insert into model (id, name, description, created_at, created_by)
      values (${id}, ${name}, ${description}, ${createdAt}, ${actor})
      on conflict (name) do nothing`
    if (created.count === 0) throw new TributaryError('NAME_TAKEN', { detail: 'a model has this name' })
    audit.append(sql, { actor, action: 'model.created', subject: `model/${id}`, detail: { name } })
    return { id, name, description, createdAt: createdAt.toISOString(), latestVersion: null, retention: null }
  }
