import { TributaryError } from '@tributary/contracts/errors'
import type { RegionView } from '@tributary/contracts/fleet'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { selectRegion } from './region-view.ts'

/** Creates a region and its shards; nobody leases them yet. */
export const createRegion =
  ({ audit }: Pick<Context, 'audit'>): Handler<'createRegion'> =>
  async ({ body, actor }, sql) => {
    const { region, shardCount, name = region } = body
    const created = await sql`
      insert into region (region, name, shard_count) values (${region}, ${name}, ${shardCount})
      on conflict (region) do nothing`
    if (created.count === 0) throw new TributaryError('NAME_TAKEN', { detail: `region ${region} exists` })
    await sql`
      insert into region_shard (region, shard) select ${region}, generate_series(0, ${shardCount - 1}::integer)`
    audit.append(sql, { actor, action: 'region.created', subject: `region/${region}`, detail: { shardCount } })
    return (await selectRegion(sql, region)) as RegionView
  }
