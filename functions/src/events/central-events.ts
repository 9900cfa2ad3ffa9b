import { type Message, parseMessage } from '@tributary/contracts/envelope'
import { TributaryError } from '@tributary/contracts/errors'
import { type CentralEvents, centralEvents } from '@tributary/contracts/events'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { takeOnce } from './inbox.ts'
import { onEvaluationSummed } from './on-evaluation-summed.ts'
import { onShardFailed } from './on-shard-failed.ts'
import { onShardSummed } from './on-shard-summed.ts'
import { parkMessage } from './park-message.ts'
import { RabbitMqEvent } from './rabbitmq-event.ts'
import { UnusableEventError } from './unusable-event-error.ts'

const consumer = 'central.events'

/**
 * Takes a batch of the queue `central.events`: each message in a transaction of its own, together with its inbox row.
 * @throws when the database does not answer: the batch comes again, and what was taken is known by then
 */
export const centralEventsHandler =
  (context: Context) =>
  async (payload: unknown): Promise<void> => {
    const { rmqMessagesByQueue } = RabbitMqEvent.parse(payload)
    for (const { data } of Object.values(rmqMessagesByQueue).flat()) await take(context, Buffer.from(data, 'base64'))
  }

const take = async (context: Context, bytes: Uint8Array): Promise<void> => {
  const parsed = parseMessage(centralEvents, bytes)
  const id = parsed.ok ? parsed.message.id : null
  const park = (reason: string) =>
    context.database.transaction(sql =>
      parkMessage(context, sql, { consumer, id, reason, body: Buffer.from(bytes).toString('utf8') }),
    )
  if (!parsed.ok) return park(parsed.reason)
  const { message } = parsed
  try {
    await context.database.transaction(async sql => {
      if (await takeOnce(sql, consumer, message.id)) await route(context, sql, message)
    })
  } catch (error) {
    if (!isLasting(error)) throw error
    if (!(error instanceof UnusableEventError)) context.log.error({ error, messageId: message.id }, 'an event failed')
    await park(error instanceof UnusableEventError ? error.message : `the effect failed: ${String(error)}`)
  }
}

const route = (context: Context, sql: Transaction, message: Message<CentralEvents>): Promise<void> => {
  switch (message.type) {
    case 'shard.summed':
      return onShardSummed(context, sql, message.data)
    case 'shard.failed':
      return onShardFailed(context, sql, message.data)
    case 'evaluation.summed':
      return onEvaluationSummed(context, sql, message.data)
  }
}

/**
 * Whether the same message would fail again: it is refused, it breaks a rule of the schema (SQLSTATE classes 22 and 23), or
 * we have a defect. What the database may do better next time (it is away, a statement took too long) is thrown.
 */
const isLasting = (error: unknown): boolean => {
  if (error instanceof TributaryError) return error.code !== 'UNAVAILABLE'
  const code = (error as { code?: unknown } | null)?.code
  const isSqlState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)
  return !isSqlState || /^2[23]/.test(code)
}
