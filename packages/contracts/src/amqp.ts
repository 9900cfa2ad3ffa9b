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
