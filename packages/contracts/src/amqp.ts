/** Names in RabbitMQ. Weights never travel here: object keys and sha256 do. */
export const amqpNames = {
  commands: 'tributary.commands',
  events: 'tributary.events',
  /** Where rejected deliveries go, with the reason in a header. */
  deadLetters: 'tributary.dead-letters',
  deadLetterQueue: 'dead-letters',
  centralEvents: 'central.events',
  commandsQueue: (node: string): string => `node.${node}.commands`,
  regionKey: (region: string): string => `region.${region}`,
} as const

/** Passed explicitly everywhere: brokers differ in their defaults. */
export const amqpLimits = {
  /** Deliveries before a message is dead-lettered. */
  deliveryLimit: 10,
  /** A node's queue expires after this long unused, ms. */
  commandsQueueExpiryMillis: 3_600_000,
  heartbeatSeconds: 5,
  maxMessageBytes: 64 * 1024,
} as const

const quorum = {
  'x-queue-type': 'quorum',
  'x-delivery-limit': amqpLimits.deliveryLimit,
  'x-dead-letter-exchange': amqpNames.deadLetters,
} as const

/**
 * What is declared, by whoever comes first: a second declaration must have the same arguments (AMQP 0-9-1, queue.declare).
 * The options are those of amqplib's `assertExchange` and `assertQueue`.
 */
export const amqpTopology = {
  commands: { exchange: amqpNames.commands, type: 'topic', options: { durable: true } },
  events: { exchange: amqpNames.events, type: 'topic', options: { durable: true } },
  deadLetters: { exchange: amqpNames.deadLetters, type: 'fanout', options: { durable: true } },
  /** Bound to `events` with every routing key; a full queue makes the publisher's confirm fail. */
  centralEvents: {
    queue: amqpNames.centralEvents,
    options: { durable: true, arguments: { ...quorum, 'x-max-length': 100_000, 'x-overflow': 'reject-publish' } },
    bindings: [{ exchange: amqpNames.events, routingKey: '#' }],
  },
  deadLetterQueue: {
    queue: amqpNames.deadLetterQueue,
    options: { durable: true, arguments: { 'x-queue-type': 'quorum', 'x-max-length': 10_000 } },
    bindings: [{ exchange: amqpNames.deadLetters, routingKey: '#' }],
  },
  /** A node's own queue, bound to `commands` with the key of its region. */
  commandsQueue: (node: string, region: string) => ({
    queue: amqpNames.commandsQueue(node),
    options: {
      durable: true,
      arguments: { ...quorum, 'x-expires': amqpLimits.commandsQueueExpiryMillis, 'x-max-length': 10_000 },
    },
    bindings: [{ exchange: amqpNames.commands, routingKey: amqpNames.regionKey(region) }],
  }),
} as const
