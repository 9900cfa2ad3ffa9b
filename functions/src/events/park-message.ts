import { amqpLimits } from '@tributary/contracts/amqp'
import type { Context } from '../context.ts'
import { storable } from '../database/storable.ts'
import type { Transaction } from '../database/transaction.ts'

/**
 * Keeps a delivery that cannot be used, with the reason. Lambda's RabbitMQ source gives a whole batch back when one
 * message fails, so a bad one is never thrown: it would block the good ones behind it.
 */
export const parkMessage = async (
  { log }: Pick<Context, 'log'>,
  sql: Transaction,
  { consumer, id, reason, body }: { consumer: string; id: string | null; reason: string; body: string },
): Promise<void> => {
  await sql`
    insert into parked_message (consumer, message_id, reason, body)
    values (${consumer}, ${id}, ${storable(reason.slice(0, 2000))}, ${storable(body.slice(0, amqpLimits.maxMessageBytes))})`
  log.error({ consumer, messageId: id, reason }, 'a message cannot be used and was parked')
}
