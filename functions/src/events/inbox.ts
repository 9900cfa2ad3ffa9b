import type { Transaction } from '../database/transaction.ts'

/** Records that a consumer takes a message, in the transaction of its effect. @returns false when it took it before */
export const takeOnce = async (sql: Transaction, consumer: string, messageId: string): Promise<boolean> => {
  const taken = await sql`
    insert into inbox (consumer, message_id) values (${consumer}, ${messageId}) on conflict do nothing`
  return taken.count === 1
}
