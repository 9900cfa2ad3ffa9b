import type { ConsumeMessage, MessageProperties } from 'amqplib'
import { account } from './instance-environment.ts'

/**
 * Deliveries as Lambda's event source mapping for RabbitMQ hands them to a function.
 * https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html
 */
export function rabbitEvent(deliveries: readonly ConsumeMessage[], queue: string, vhost: string, region: string) {
  return {
    eventSource: 'aws:rmq',
    eventSourceArn: `arn:aws:mq:${region}:${account}:broker:local:b-local`,
    rmqMessagesByQueue: {
      [`${queue}::${vhost}`]: deliveries.map(({ properties, content, fields }) => ({
        basicProperties: basicProperties(properties, content.length),
        redelivered: fields.redelivered,
        data: content.toString('base64'),
      })),
    },
  }
}

function basicProperties(properties: MessageProperties, bodySize: number) {
  return {
    contentType: text(properties.contentType),
    contentEncoding: text(properties.contentEncoding),
    headers: Object.fromEntries(Object.entries(properties.headers ?? {}).map(([name, value]) => [name, header(value)])),
    deliveryMode: properties.deliveryMode ?? null,
    priority: properties.priority ?? null,
    correlationId: text(properties.correlationId),
    replyTo: text(properties.replyTo),
    expiration: text(properties.expiration),
    messageId: text(properties.messageId),
    timestamp: properties.timestamp === undefined ? null : time.format(Number(properties.timestamp) * 1000),
    type: text(properties.type),
    userId: text(properties.userId),
    appId: text(properties.appId),
    clusterId: text(properties.clusterId),
    bodySize,
  }
}

/** `Jan 1, 1970, 12:33:41 AM` */
const time = new Intl.DateTimeFormat('en-US', { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' })

const text = (value: unknown): string | null =>
  value === undefined || value === null ? null : `${value as string | number | boolean}`

/** Texts arrive as bytes, everything else as it is. */
const header = (value: unknown): unknown =>
  typeof value === 'string' ? { bytes: [...Buffer.from(value, 'utf8')] } : value
