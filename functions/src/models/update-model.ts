import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { type ModelRow, modelColumns, modelViewOf } from './model-view.ts'

export const updateModel =
  ({ audit }: Pick<Context, 'audit'>): Handler<'updateModel'> =>
  async ({ params: { model }, body, actor }, sql) => {
    const { description, retention } = body
    const changed = await sql`
      update model set
        description = ${description === undefined ? sql`description` : description},
        retention_keep_last = ${retention === undefined ? sql`retention_keep_last` : (retention?.keepLast ?? null)},
        retention_keep_days = ${retention === undefined ? sql`retention_keep_days` : (retention?.keepDays ?? null)}
      where id = ${model}`
    if (changed.count === 0) throw new TributaryError('NOT_FOUND')
    audit.append(sql, { actor, action: 'model.changed', subject: `model/${model}`, detail: { ...body } })
    const [row] = await sql<[ModelRow]>`select ${modelColumns(sql)} from model m where m.id = ${model}`
    return modelViewOf(row)
  }
