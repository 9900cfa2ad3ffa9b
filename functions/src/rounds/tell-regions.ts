import type { RegionCommands } from '@tributary/contracts/commands'
import type { MessageData, MessageType } from '@tributary/contracts/envelope'
import type { AttemptRef } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'

/** Writes a command to every region that plays a part in an attempt. */
export const tellRegions = async <Type extends MessageType<RegionCommands>>(
  { outbox }: Pick<Context, 'outbox'>,
  sql: Transaction,
  ref: AttemptRef,
  type: Type,
  data: MessageData<RegionCommands, Type>,
): Promise<void> => {
  const rows = await sql<{ region: string }[]>`
    select distinct region from attempt_shard
    where task = ${ref.task} and round = ${ref.round} and attempt = ${ref.attempt} order by region`
  for (const { region } of rows) await outbox.appendCommand(sql, region, type, data)
}
