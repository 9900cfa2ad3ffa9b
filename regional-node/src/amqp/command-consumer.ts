import { amqpLimits, amqpNames } from '@tributary/contracts/amqp'
import { type RegionCommands, regionCommands } from '@tributary/contracts/commands'
import { type Message, parseMessage } from '@tributary/contracts/envelope'
import type { Channel, ConfirmChannel, ConsumeMessage } from 'amqplib'
import type { NodeMetrics } from '../health/node-metrics.ts'
import type { Journal } from '../journal/journal.ts'

/** Deliveries that are handled at a time. */
const prefetch = 16
const longestReason = 500
/** Header of a dead letter that says why it is one. */
const reasonHeader = 'tributary-reason'

/** Handles one command; resolves once what it changes is durable. */
export type HandleCommand = (command: Message<RegionCommands>) => Promise<void>

/**
 * Consumes the commands of central. A delivery is acknowledged when it is durable here; what cannot be understood goes to the
 * dead-letter exchange with the reason; what fails is delivered again, up to the queue's delivery limit.
 */
export const consumeCommands = async (
  channel: Channel,
  letters: ConfirmChannel,
  queue: string,
  handle: HandleCommand,
  { journal, metrics, onCancelled }: { journal: Journal; metrics: NodeMetrics; onCancelled: () => void },
): Promise<void> => {
  const deadLetter = async (delivery: ConsumeMessage, reason: string): Promise<void> => {
    metrics.commands.add({ type: 'poison' })
    journal.report('warn', `a command was refused: ${reason}`, { code: 'BODY_INVALID' })
    try {
      // The broker's own dead-lettering cannot say why, so the letter is sent first, confirmed, and then the delivery taken.
      letters.publish(amqpNames.deadLetters, delivery.fields.routingKey, delivery.content, {
        persistent: true,
        headers: { [reasonHeader]: reason.slice(0, longestReason), 'tributary-queue': queue },
        ...(typeof delivery.properties.messageId === 'string' ? { messageId: delivery.properties.messageId } : {}),
      })
      await letters.waitForConfirms()
      channel.ack(delivery)
    } catch {
      channel.reject(delivery, false)
    }
  }
  const take = async (delivery: ConsumeMessage): Promise<void> => {
    if (delivery.content.byteLength > amqpLimits.maxMessageBytes)
      return deadLetter(delivery, 'the message is too large')
    const parsed = parseMessage(regionCommands, delivery.content)
    if (!parsed.ok) return deadLetter(delivery, parsed.reason)
    const { message } = parsed
    try {
      await handle(message)
      metrics.commands.add({ type: message.type })
      channel.ack(delivery)
    } catch (error) {
      journal.report('warn', `command ${message.type} failed: ${(error as Error).message}`)
      channel.nack(delivery, false, true)
    }
  }
  await channel.prefetch(prefetch)
  await channel.consume(queue, delivery => {
    // The broker ended the consumer, e.g. because the queue was deleted: the session must be opened anew.
    if (delivery === null) return onCancelled()
    // The channel may be gone when the answer is sent; the delivery then comes again.
    take(delivery).catch(() => {})
  })
}
