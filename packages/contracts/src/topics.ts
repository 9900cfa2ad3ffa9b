import * as z from 'zod'
import { AttemptRef, Uuid } from './ids.ts'

/**
 * MQTT topics of one device: at most 7 slashes (AWS IoT), one wildcard subscription an agent.
 * Down: node to device. Up: device to node, the last will included.
 */
const root = 'fl/v1/d'

export type DownKind = 'work' | 'settled' | 'revoked' | 'command'
export type UpKind = 'status'

export const deviceTopics = {
  down: (device: string, kind: DownKind): string => `${root}/${device}/down/${kind}`,
  up: (device: string, kind: UpKind): string => `${root}/${device}/up/${kind}`,
  /** What one agent subscribes to. */
  allDown: (device: string): string => `${root}/${device}/down/+`,
  /** What a regional node subscribes to. */
  allUp: `${root}/+/up/+`,
} as const

/** Device and kind of an up topic, or null for any other topic. */
export const parseUpTopic = (topic: string): { device: string; kind: string } | null => {
  const parts = topic.split('/')
  const [, , , device, direction, kind] = parts
  if (parts.length !== 6 || !topic.startsWith(`${root}/`) || direction !== 'up') return null
  return device !== undefined && kind !== undefined && Uuid.safeParse(device).success ? { device, kind } : null
}

/** Kind of a down topic, or null for any other topic. */
export const parseDownTopic = (topic: string, device: string): string | null => {
  const prefix = `${root}/${device}/down/`
  const kind = topic.startsWith(prefix) ? topic.slice(prefix.length) : ''
  return kind === '' || kind.includes('/') ? null : kind
}

/** A notice is a hint to check in now; whoever misses it learns the same at the next check-in. */
export const DeviceNotice = z.object({ kind: z.enum(['work', 'settled', 'revoked']), attempt: AttemptRef.optional() })
export type DeviceNotice = z.infer<typeof DeviceNotice>

/** A wish of an operator, published by central on `down/command`. A hint as well: a device does all of it by itself in time. */
export const DeviceCommand = z.object({ kind: z.enum(['check-in', 'renew-certificate', 'send-status']) })
export type DeviceCommand = z.infer<typeof DeviceCommand>

/** Presence: published retained at connect; `offline` is the last will. */
export const DeviceStatus = z.object({
  state: z.enum(['idle', 'training', 'evaluating', 'offline']),
  attempt: AttemptRef.optional(),
  progress: z.number().min(0).max(1).optional(),
})
export type DeviceStatus = z.infer<typeof DeviceStatus>

/** Largest notice or status, bytes. */
export const maxNoticeBytes = 1024
