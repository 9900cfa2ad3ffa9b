import { ShardSummed } from '@tributary/contracts/events'
import { Sha256, Uuid } from '@tributary/contracts/ids'
import { MetricSums, RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import * as z from 'zod'
import type { LogRecord } from '../log/record.ts'

const Devices = z.array(z.object({ device: Uuid, label: z.string() }))

/** What one device contributed, as the log keeps it. */
export const AcceptedUpdate = z.object({
  device: Uuid,
  sha256: Sha256,
  bytes: z.int().nonnegative(),
  examples: z.int().nonnegative(),
  /** 0: an empty update, listed but not added. */
  weight: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
  metrics: MetricSums,
  receipt: z.string(),
})
export type AcceptedUpdate = z.infer<typeof AcceptedUpdate>

export const InvalidUpdate = z.object({
  device: Uuid,
  sha256: Sha256,
  bytes: z.int().nonnegative(),
  code: z.string(),
  tensor: z.string(),
  detail: z.string(),
})
export type InvalidUpdate = z.infer<typeof InvalidUpdate>

/** Work that a device said it cannot do. */
export const FailedDevice = z.object({ device: Uuid, code: z.string(), detail: z.string() })
export type FailedDevice = z.infer<typeof FailedDevice>

export const ClosingReason = z.enum(['goal', 'everybody', 'deadline'])
export type ClosingReason = z.infer<typeof ClosingReason>

/** Records of one attempt in one shard. Type numbers are forever. */
const kinds = {
  opened: { type: 1, data: z.object({ descriptor: RoundDescriptor, plan: ShardPlan }) },
  selected: { type: 2, data: z.object({ devices: Devices }) },
  accepted: { type: 3, data: AcceptedUpdate },
  invalid: { type: 4, data: InvalidUpdate },
  /** Nothing is accepted any more. */
  closing: { type: 5, data: z.object({ reason: ClosingReason }) },
  /** Sum and participation list are stored; the event may be published again and again. */
  summed: { type: 6, data: z.object({ event: ShardSummed }) },
  failed: { type: 7, data: FailedDevice },
} as const

type Kinds = typeof kinds

export type AttemptRecord = {
  [Kind in keyof Kinds]: { readonly kind: Kind } & z.infer<Kinds[Kind]['data']>
}[keyof Kinds]

const byType = new Map(Object.entries(kinds).map(([kind, { type, data }]) => [type as number, { kind, data }]))

export const encodeAttemptRecord = ({ kind, ...data }: AttemptRecord): LogRecord => ({
  type: kinds[kind].type,
  payload: Buffer.from(JSON.stringify(data)),
})

/** @throws Error when the record is none of this program */
export const decodeAttemptRecord = ({ type, payload }: LogRecord): AttemptRecord => {
  const known = byType.get(type)
  if (known === undefined) throw new Error(`a log record of type ${type} was written by a newer program`)
  const data = known.data.parse(JSON.parse(Buffer.from(payload).toString('utf8')))
  return { kind: known.kind, ...data } as AttemptRecord
}
