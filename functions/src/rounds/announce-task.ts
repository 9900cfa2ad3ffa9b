import type { RegionCommands } from '@tributary/contracts/commands'
import type { MessageData } from '@tributary/contracts/envelope'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { tellRegions } from './tell-regions.ts'

/** Writes a command about a task to the regions of its latest attempt: the others keep nothing of it. */
export const announceTask = async <Type extends 'task.paused' | 'task.resumed' | 'task.cancelled' | 'task.finished'>(
  context: Pick<Context, 'outbox'>,
  sql: Transaction,
  task: string,
  type: Type,
  data: MessageData<RegionCommands, Type>,
): Promise<void> => {
  const [last] = await sql<{ round: number; attempt: number }[]>`
    select round, attempt from round_attempt where task = ${task} order by round desc, attempt desc limit 1`
  if (last !== undefined) await tellRegions(context, sql, { task, ...last }, type, data)
}
