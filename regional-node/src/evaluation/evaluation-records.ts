import { centralEvents } from '@tributary/contracts/events'
import { Uuid } from '@tributary/contracts/ids'
import { EvaluationDescriptor, MetricSums } from '@tributary/contracts/round'
import * as z from 'zod'
import type { LogRecord } from '../log/record.ts'

/** Records of one evaluation in one shard. Type numbers are forever. */
const kinds = {
  opened: { type: 1, data: z.object({ descriptor: EvaluationDescriptor, shard: z.int(), epoch: z.int() }) },
  reported: { type: 2, data: z.object({ device: Uuid, metrics: MetricSums }) },
  failed: { type: 4, data: z.object({ device: Uuid, code: z.string(), detail: z.string() }) },
  summed: { type: 3, data: z.object({ event: centralEvents['evaluation.summed'] }) },
} as const

type Kinds = typeof kinds

export type EvaluationRecord = {
  [Kind in keyof Kinds]: { readonly kind: Kind } & z.infer<Kinds[Kind]['data']>
}[keyof Kinds]

const byType = new Map(Object.entries(kinds).map(([kind, { type, data }]) => [type as number, { kind, data }]))

export const encodeEvaluationRecord = ({ kind, ...data }: EvaluationRecord): LogRecord => ({
  type: kinds[kind].type,
  payload: Buffer.from(JSON.stringify(data)),
})

/** @throws Error when the record is none of this program */
export const decodeEvaluationRecord = ({ type, payload }: LogRecord): EvaluationRecord => {
  const known = byType.get(type)
  if (known === undefined) throw new Error(`a log record of type ${type} was written by a newer program`)
  const data = known.data.parse(JSON.parse(Buffer.from(payload).toString('utf8')))
  return { kind: known.kind, ...data } as EvaluationRecord
}
