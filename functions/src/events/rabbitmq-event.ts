import * as z from 'zod'

/** A batch of Lambda's RabbitMQ event source: messages by `queue::virtual host`, bodies in base64. */
export const RabbitMqEvent = z.object({
  rmqMessagesByQueue: z.record(
    z.string(),
    z.array(z.object({ data: z.base64(), redelivered: z.boolean().optional() })),
  ),
})
export type RabbitMqEvent = z.infer<typeof RabbitMqEvent>
