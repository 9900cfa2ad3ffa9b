import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import { storable } from '../database/storable.ts'
import { asJson } from '../database/transaction.ts'
import { takeOnce } from '../events/inbox.ts'
import type { Handler } from '../http/handler.ts'

/** Keeps a batch of a node's log entries, once. @throws TributaryError NOT_FOUND */
export const reportNodeLogs =
  ({ database }: Pick<Context, 'database'>): Handler<'reportNodeLogs'> =>
  ({ params, body }) =>
    database.transaction(async sql => {
      const [node] = await sql<{ region: string }[]>`select region from regional_node where id = ${params.node}`
      if (node === undefined) throw new TributaryError('NOT_FOUND')
      if (!(await takeOnce(sql, `node-logs ${params.node}`, body.batch))) return
      await sql`
        insert into log_entry (time, level, region, node, task, round, attempt, shard, device, code, message, fields)
        select e.time, e.level, ${node.region}, ${params.node}, e.task, e.round, e.attempt, e.shard, e.device, e.code,
          e.message, coalesce(e.fields, '{}')
        from jsonb_to_recordset(${sql.json(asJson(storable(body.entries)))}) as e (time timestamptz, level text, task uuid,
          round integer, attempt integer, shard integer, device uuid, code text, message text, fields jsonb)`
    })
