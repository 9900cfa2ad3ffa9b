import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { applyShardCount } from '../regional-nodes/apply-shard-count.ts'
import { selectRegion } from './region-view.ts'

type Row = { name: string; shard_count: number; pending: number | null; task_slots: number | null }

/**
 * Changes a region. A new number of shards waits until no round runs in the region: devices move between shards by it, and what
 * an attempt has pinned must not change under it. With nothing running it is applied at once.
 * @throws TributaryError NOT_FOUND
 */
export const updateRegion =
  ({ audit }: Pick<Context, 'audit'>): Handler<'updateRegion'> =>
  async ({ params: { region }, body, actor }, sql) => {
    // Shards before the region, as status calls lock them.
    await sql`select from region_shard where region = ${region} order by shard for no key update`
    const [row] = await sql<Row[]>`
      select name, shard_count, pending_shard_count as pending, task_slots from region where region = ${region}
      for no key update`
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    const name = body.name ?? row.name
    const taskSlots = body.taskSlots === undefined ? row.task_slots : body.taskSlots
    const wanted = body.shardCount === undefined ? row.pending : body.shardCount
    const pending = wanted === row.shard_count ? null : wanted
    if (name !== row.name || taskSlots !== row.task_slots || pending !== row.pending) {
      await sql`
        update region set name = ${name}, task_slots = ${taskSlots}, pending_shard_count = ${pending} where region = ${region}`
      const detail = { name, taskSlots, pendingShardCount: pending }
      audit.append(sql, { actor, action: 'region.updated', subject: `region/${region}`, detail })
    }
    await applyShardCount({ audit }, sql, region)
    const view = await selectRegion(sql, region)
    if (view === undefined) throw new TributaryError('NOT_FOUND')
    return view
  }
