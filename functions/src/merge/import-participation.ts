import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { AttemptRef, ObjectRef } from '@tributary/contracts/ids'
import type { Participation } from '@tributary/contracts/participation'
import type { Context } from '../context.ts'
import { storable } from '../database/storable.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { SummedShard } from './merge-input.ts'
import { ParticipationListError, participationLines } from './participation-lines.ts'

const maxListBytes = 512 * 1024 * 1024
const batchRows = 500

const lateDetail = 'The shard reported after the round was settled.'

/** @property late what the shard accepted was not counted */
type Origin = { readonly region: string; readonly late: boolean }
type Progress = { readonly signal: AbortSignal; readonly onProgress: () => Promise<void> }

/**
 * Takes the participation lists of an attempt's shards from object storage into the database, in batches, so that memory
 * does not follow the number of devices. Taking a list in again changes nothing. A list that is not what its shard declared
 * is left out and logged: it is a report, and the sum does not depend on it.
 * @param onProgress called after each batch
 */
export const importParticipation = async (
  context: Context,
  ref: AttemptRef,
  shards: readonly SummedShard[],
  progress: Progress,
): Promise<void> => {
  for (const { region, shard, participation, late } of shards) {
    if (participation === null || participation.bytes === 0) continue
    try {
      await importList(context, ref, { region, late }, participation, progress)
    } catch (error) {
      const left = error instanceof ParticipationListError || error instanceof TributaryError
      if (!left || (error instanceof TributaryError && error.code === 'UNAVAILABLE')) throw error
      context.log.error({ error, ...ref, region, shard }, 'a participation list was left out')
    }
  }
}

const importList = async (
  { store, database }: Pick<Context, 'store' | 'database'>,
  ref: AttemptRef,
  origin: Origin,
  list: ObjectRef,
  { signal, onProgress }: Progress,
): Promise<void> => {
  if (list.bytes > maxListBytes) throw new ParticipationListError(`${list.bytes} bytes, at most ${maxListBytes}`)
  // Read twice: nothing is taken from a list before all of it is known to be the declared one, and no transaction waits
  // for the network.
  const open = () => store.read(list.objectKey, { range: { start: 0, end: list.bytes }, signal })
  const hash = createHash('sha256')
  for await (const chunk of await open()) hash.update(chunk)
  if (hash.digest('hex') !== list.sha256) {
    throw new TributaryError('CHECKSUM_MISMATCH', { detail: `object ${list.objectKey} has not the declared sha256` })
  }
  let batch: Participation[] = []
  for await (const line of participationLines(await open())) {
    batch.push(storable(line))
    if (batch.length < batchRows) continue
    await database.transaction(sql => insertRows(sql, ref, origin, batch))
    batch = []
    await onProgress()
  }
  await database.transaction(sql => insertRows(sql, ref, origin, batch))
  await onProgress()
}

const insertRows = async (
  sql: Transaction,
  ref: AttemptRef,
  { region, late }: Origin,
  rows: readonly Participation[],
): Promise<void> => {
  if (rows.length === 0) return
  await sql`
    insert into participation (task, round, attempt, device, region, label, verdict, code, detail, examples, weight, bytes,
      seconds, metrics)
    select ${ref.task}, ${ref.round}, ${ref.attempt}, p.device, ${region}, p.label,
      case when ${late} and p.verdict = 'accepted' then 'discarded' else p.verdict end,
      p.code, case when ${late} and p.verdict = 'accepted' then ${lateDetail} else p.detail end, p.examples,
      p.weight, p.bytes, p.seconds, coalesce(p.metrics, '{}')
    from jsonb_to_recordset(${sql.json(asJson(rows))}) as p (device uuid, label text, verdict text, code text, detail text,
      examples bigint, weight bigint, bytes bigint, seconds double precision, metrics jsonb)
    on conflict do nothing`
}
