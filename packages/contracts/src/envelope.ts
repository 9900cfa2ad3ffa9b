import * as z from 'zod'
import { Timestamp, Uuid } from './ids.ts'

/** CloudEvents 1.0 in JSON (structured mode) around a typed `data`. https://github.com/cloudevents/spec */
const envelopeOf = <Type extends string, Data extends z.ZodType>(type: Type, data: Data) =>
  z.object({
    specversion: z.literal('1.0'),
    id: Uuid,
    source: z.string().min(1).max(200),
    type: z.literal(type),
    time: Timestamp,
    datacontenttype: z.literal('application/json').optional(),
    data,
  })

/** A family of messages: schemas of `data` by type name. */
export type MessageFamily = Readonly<Record<string, z.ZodType>>

export type MessageType<Family extends MessageFamily> = keyof Family & string
export type MessageData<Family extends MessageFamily, Type extends MessageType<Family>> = z.infer<Family[Type]>

/** One message of a family, discriminated by `type`. */
export type Message<Family extends MessageFamily> = {
  [Type in MessageType<Family>]: {
    readonly id: string
    readonly source: string
    readonly type: Type
    readonly time: string
    readonly data: MessageData<Family, Type>
  }
}[MessageType<Family>]

export type ParsedMessage<Family extends MessageFamily> =
  | { readonly ok: true; readonly message: Message<Family> }
  | { readonly ok: false; readonly reason: string }

/** Parses bytes from a queue. Never throws: whoever calls dead-letters with the reason. */
export const parseMessage = <Family extends MessageFamily>(
  family: Family,
  bytes: Uint8Array | string,
): ParsedMessage<Family> => {
  let json: unknown
  try {
    json = JSON.parse(typeof bytes === 'string' ? bytes : new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return { ok: false, reason: 'not JSON' }
  }
  const type = (json as { type?: unknown } | null)?.type
  if (typeof type !== 'string' || !Object.hasOwn(family, type)) {
    return { ok: false, reason: `unknown type ${JSON.stringify(type)?.slice(0, 80)}` }
  }
  const parsed = envelopeOf(type, family[type] as z.ZodType).safeParse(json)
  return parsed.success
    ? { ok: true, message: parsed.data as unknown as Message<Family> }
    : { ok: false, reason: z.prettifyError(parsed.error).slice(0, 500) }
}

/** Builds an envelope; the data is checked, so that nothing invalid leaves. */
export const makeMessage = <Family extends MessageFamily, Type extends MessageType<Family>>(
  family: Family,
  type: Type,
  data: MessageData<Family, Type>,
  origin: { id: string; source: string; time: Date },
) =>
  envelopeOf(type, family[type] as z.ZodType).parse({
    specversion: '1.0',
    id: origin.id,
    source: origin.source,
    type,
    time: origin.time.toISOString(),
    datacontenttype: 'application/json',
    data,
  })
