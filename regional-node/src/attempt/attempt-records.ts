import { ShardSummed } from '@tributary/contracts/events'
import { Sha256, Uuid } from '@tributary/contracts/ids'
import { MetricSums, RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import * as z from 'zod'
import type { LogRecord } from '../log/record.ts'

const device = { device: Uuid, label: z.string() }
const Devices = z.array(z.object(device))

/** What one device contributed, as the log keeps it. */
export const AcceptedUpdate = z.object({
  ...device,
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
  ...device,
  sha256: Sha256,
  bytes: z.int().nonnegative(),
  code: z.string(),
  tensor: z.string(),
  detail: z.string(),
})
export type InvalidUpdate = z.infer<typeof InvalidUpdate>

/** Work that a device said it cannot do. */
export const FailedDevice = z.object({ ...device, code: z.string(), detail: z.string() })
export type FailedDevice = z.infer<typeof FailedDevice>

export const ClosingReason = z.enum(['goal', 'everybody', 'deadline'])
export type ClosingReason = z.infer<typeof ClosingReason>

/** A sum file beside the log. */
export const FoldedSum = z.object({
  /** Name of the file. */
  file: z.string().regex(/^sum\.\d+$/),
  sha256: Sha256,
  bytes: z.int().nonnegative(),
  updates: z.int().nonnegative(),
  weight: z.string().regex(/^\d+$/),
  /** Of the key that seals the file, hex. */
  salt: z.string().regex(/^[0-9a-f]{64}$/),
})
export type FoldedSum = z.infer<typeof FoldedSum>

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
  /** The file holds the sum of every update that was accepted up to record `through`: their bodies are not needed any more. */
  folded: { type: 8, data: z.object({ through: z.int().nonnegative(), sum: FoldedSum }) },
  /** Devices may come until then, Unix ms. Behind what was selected when the shard could serve devices for the first time. */
  selecting: { type: 9, data: z.object({ until: z.int().nonnegative() }) },
} as const

type Kinds = typeof kinds

export type AttemptRecord = {
  [Kind in keyof Kinds]: { readonly kind: Kind } & z.infer<Kinds[Kind]['data']>
}[keyof Kinds]

const byType = new Map(Object.entries(kinds).map(([kind, { type, data }]) => [type as number, { kind, data }]))

/** @param number of the record in its attempt, from 1 on, growing; a number whose record found no room is left out */
export const encodeAttemptRecord = (number: number, { kind, ...data }: AttemptRecord): LogRecord => ({
  type: kinds[kind].type,
  payload: Buffer.from(JSON.stringify({ number, ...data })),
})

const Numbered = z.object({ number: z.int().positive() })

/** @throws Error when the record is none of this program */
export const decodeAttemptRecord = ({ type, payload }: LogRecord): { number: number; record: AttemptRecord } => {
  const known = byType.get(type)
  if (known === undefined) throw new Error(`a log record of type ${type} was written by a newer program`)
  const json: unknown = JSON.parse(Buffer.from(payload).toString('utf8'))
  const data = known.data.parse(json)
  return { number: Numbered.parse(json).number, record: { kind: known.kind, ...data } as AttemptRecord }
}
