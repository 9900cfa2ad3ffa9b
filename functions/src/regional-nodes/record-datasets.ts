import type { NodeStatusRequest } from '@tributary/contracts/node-status'
import { storable } from '../database/storable.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { CallingNode } from './renew-leases.ts'

/**
 * Keeps what owners let out about the data sets of devices of the caller's shards, the last word of each device; where an owner lets out
 * nothing any more, nothing is kept. The same again writes nothing.
 */
export const recordDatasets = async (
  sql: Transaction,
  { region, shardCount, epochs }: CallingNode,
  { datasetDescriptions = [] }: Pick<NodeStatusRequest, 'datasetDescriptions'>,
): Promise<void> => {
  if (datasetDescriptions.length === 0 || epochs.size === 0) return
  const last = new Map(datasetDescriptions.map(described => [described.device, described]))
  // In one order, so that calls at the same time lock rows alike.
  const rows = [...last.values()].sort((a, b) => (a.device < b.device ? -1 : 1))
  const shards = [...epochs.keys()].map(String)
  const gone = rows.filter(({ datasets }) => datasets.length === 0).map(({ device }) => device)
  if (gone.length > 0)
    await sql`
      delete from device_datasets k using device d
      where k.device = any(${gone}::text[]::uuid[]) and d.id = k.device and d.region = ${region}
        and shard_of(d.shard_hash, ${shardCount}) = any(${shards}::text[]::integer[])`
  const told = rows.filter(({ datasets }) => datasets.length > 0)
  if (told.length === 0) return
  await sql`
    insert into device_datasets (device, digest, datasets)
    select d.id, t.digest, t.datasets
    from jsonb_to_recordset(${sql.json(asJson(storable(told)))}) as t (device uuid, digest text, datasets jsonb)
      join device d on d.id = t.device and d.region = ${region} and d.revoked_at is null
    where shard_of(d.shard_hash, ${shardCount}) = any(${shards}::text[]::integer[])
    order by d.id
    on conflict (device) do update set digest = excluded.digest, datasets = excluded.datasets, described_at = now()
    where device_datasets.datasets is distinct from excluded.datasets`
}
