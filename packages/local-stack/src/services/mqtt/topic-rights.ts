import type { MqttIdentity } from './identity.ts'

const root = ['fl', 'v1', 'd']
const kindPattern = /^[a-z][a-z0-9-]{0,31}$/
const devicePattern = /^[^/+#\s$]{1,128}$/

/** AWS IoT's limits. */
export const maxPayloadBytes = 128 * 1024
const maxTopicBytes = 256

/** True when this identity may publish to the topic; its last will is held to the same rule. */
export function mayPublish(identity: MqttIdentity, topic: string): boolean {
  const parsed = parse(topic)
  if (!parsed || !devicePattern.test(parsed.device) || !kindPattern.test(parsed.kind)) return false
  if (identity.role === 'device') return parsed.direction === 'up' && parsed.device === identity.id
  return parsed.direction === 'down'
}

/** Presence alone is kept by the broker: one message a device. */
export function mayRetain(identity: MqttIdentity, topic: string): boolean {
  return identity.role === 'device' && parse(topic)?.kind === 'status'
}

/** True when this identity may subscribe with the filter. */
export function maySubscribe(identity: MqttIdentity, filter: string): boolean {
  const parsed = parse(filter)
  if (!parsed || !(parsed.kind === '+' || kindPattern.test(parsed.kind))) return false
  if (identity.role === 'device') return parsed.direction === 'down' && parsed.device === identity.id
  if (identity.role === 'regional-node') {
    return parsed.direction === 'up' && (parsed.device === '+' || devicePattern.test(parsed.device))
  }
  return false
}

/** The parts of `fl/v1/d/<device>/<direction>/<kind>`; undefined for every other topic. */
function parse(topic: string): { device: string; direction: 'up' | 'down'; kind: string } | undefined {
  if (Buffer.byteLength(topic) > maxTopicBytes) return undefined
  const parts = topic.split('/')
  const [, , , device, direction, kind] = parts
  if (parts.length !== 6 || root.some((part, at) => parts[at] !== part)) return undefined
  if (device === undefined || kind === undefined || (direction !== 'up' && direction !== 'down')) return undefined
  return { device, direction, kind }
}
