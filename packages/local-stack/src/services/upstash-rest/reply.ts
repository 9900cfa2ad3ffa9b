export type Reply = Buffer | string | number | null | Error | Reply[]

export type JsonReply = string | number | null | JsonReply[]

export type Outcome = { readonly result: JsonReply } | { readonly error: string }

/** A reply of Redis as Upstash writes it in JSON; with `base64` every string but a lone `OK` is encoded. */
export function toOutcome(reply: Reply, base64: boolean): Outcome {
  if (reply instanceof Error) return { error: reply.message }
  const lone = Buffer.isBuffer(reply) || typeof reply === 'string' ? reply.toString() : undefined
  return { result: lone === 'OK' ? lone : toJson(reply, base64) }
}

function toJson(reply: Reply, base64: boolean): JsonReply {
  if (Array.isArray(reply)) return reply.map(part => toJson(part, base64))
  if (reply instanceof Error) return toJson(reply.message, base64)
  if (reply === null || typeof reply === 'number') return reply
  const bytes = typeof reply === 'string' ? Buffer.from(reply) : reply
  return bytes.toString(base64 ? 'base64' : 'utf8')
}
