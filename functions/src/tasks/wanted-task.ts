import { TributaryError } from '@tributary/contracts/errors'
import type { Transaction } from '../database/transaction.ts'
import { lockTask, type TaskRow } from './task-row.ts'

/** The task of a request, locked. @throws TributaryError NOT_FOUND */
export const wantedTask = async (sql: Transaction, id: string): Promise<TaskRow> => {
  const task = await lockTask(sql, id)
  if (task === undefined) throw new TributaryError('NOT_FOUND')
  return task
}

/** @param only what the task would have to be, e.g. `a draft can be started` */
export const stateConflict = ({ state }: TaskRow, only: string): TributaryError =>
  new TributaryError('STATE_CONFLICT', { detail: `The task is ${state}; only ${only}.` })
