import type { Transaction } from '../database/transaction.ts'

/** Shards of a region with a part in a live attempt that they have not reported. */
export const readBusyShards = async (sql: Transaction, region: string): Promise<ReadonlySet<number>> => {
  const rows = await sql<{ shard: number }[]>`
    select distinct s.shard from round_attempt a
      join attempt_shard s on s.task = a.task and s.round = a.round and s.attempt = a.attempt
    where a.state in ('open', 'collecting') and s.region = ${region} and s.state in ('open', 'collecting')`
  return new Set(rows.map(({ shard }) => shard))
}
