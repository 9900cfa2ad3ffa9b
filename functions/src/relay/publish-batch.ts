import type { ConfirmChannel } from 'amqplib'

export type OutboxRow = {
  readonly id: number
  readonly message_id: string
  readonly exchange: string
  readonly routing_key: string
  readonly body: { readonly type: string }
}

/**
 * Publishes rows in order and waits until the broker has confirmed every one. A message that no queue takes is confirmed
 * too: whoever was not there learns the same from its next status call.
 * @throws when a message is refused, the channel ends or the deadline passes; some of them may be out by then
 */
export const publishBatch = async (
  channel: ConfirmChannel,
  rows: readonly OutboxRow[],
  signal: AbortSignal,
): Promise<void> => {
  const { promise: stopped, reject } = Promise.withResolvers<never>()
  const onClose = (): void => reject(new Error('the channel closed before the broker confirmed'))
  const onAbort = (): void => reject(new Error('the broker did not confirm in time', { cause: signal.reason }))
  channel.once('close', onClose)
  channel.once('error', reject)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    await Promise.race([stopped, Promise.all(rows.map(row => publish(channel, row)))])
  } finally {
    channel.off('close', onClose)
    channel.off('error', reject)
    signal.removeEventListener('abort', onAbort)
  }
}

const publish = (channel: ConfirmChannel, row: OutboxRow): Promise<void> =>
  new Promise((resolve, reject) => {
    channel.publish(
      row.exchange,
      row.routing_key,
      Buffer.from(JSON.stringify(row.body)),
      {
        persistent: true,
        mandatory: false,
        messageId: row.message_id,
        type: row.body.type,
        contentType: 'application/cloudevents+json',
      },
      error => (error === null || error === undefined ? resolve() : reject(error)),
    )
  })
