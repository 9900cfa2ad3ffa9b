import { amqpTopology } from '@tributary/contracts/amqp'
import type { Channel } from 'amqplib'

/** Declares what the node uses; whoever comes first makes it. Returns the name of the node's queue. */
export const declareTopology = async (channel: Channel, node: string, region: string): Promise<string> => {
  for (const { exchange, type, options } of [amqpTopology.commands, amqpTopology.events, amqpTopology.deadLetters]) {
    await channel.assertExchange(exchange, type, options)
  }
  for (const { queue, options, bindings } of [
    amqpTopology.deadLetterQueue,
    amqpTopology.centralEvents,
    amqpTopology.commandsQueue(node, region),
  ]) {
    await channel.assertQueue(queue, options)
    for (const { exchange, routingKey } of bindings) await channel.bindQueue(queue, exchange, routingKey)
  }
  return amqpTopology.commandsQueue(node, region).queue
}
