import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { type NodeViewRow, nodeViewColumns, nodeViewOf } from './node-view.ts'

/** @throws TributaryError NOT_FOUND */
export const getNode =
  ({ database }: Pick<Context, 'database'>): Handler<'getNode'> =>
  async ({ params: { node } }) => {
    const [row] = await database.read(
      sql => sql<NodeViewRow[]>`select ${nodeViewColumns(sql)} from regional_node n where n.id = ${node}`,
    )
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    return nodeViewOf(row)
  }
