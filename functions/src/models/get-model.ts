import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { type ModelRow, modelColumns, modelViewOf } from './model-view.ts'

export const getModel =
  ({ database }: Pick<Context, 'database'>): Handler<'getModel'> =>
  async ({ params: { model } }) => {
    const [row] = await database.read(
      sql => sql<ModelRow[]>`select ${modelColumns(sql)} from model m where m.id = ${model}`,
    )
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    return modelViewOf(row)
  }
