import type { DescMessage } from '@bufbuild/protobuf'
import { ModelProtoSchema } from './gen/onnx_pb.ts'
import { OnnxModelError } from './onnx-model-error.ts'

/** A field costs two bytes in a file and hundreds in memory; the largest graphs that are read have a third of this. */
export const mostFields = 1_000_000
/** As deep as the decoder goes. */
const mostNested = 100

const fieldsOf = new WeakMap<DescMessage, ReadonlyMap<number, DescMessage | null>>()

/**
 * Counts the fields of an encoded model, nested ones among them, without decoding it: a small file can become an object
 * larger than memory, and only counting first tells. What is malformed is left to the decoder.
 * @throws OnnxModelError TOO_BIG
 */
export const checkFields = (bytes: Uint8Array): void => {
  let fields = 0
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at] as number
      at += 1
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    return NaN
  }
  /** @returns false where the message is malformed */
  const walk = (schema: DescMessage, end: number, depth: number): boolean => {
    if (depth > mostNested) return false
    const messages = messagesOf(schema)
    while (at < end) {
      const tag = varint()
      fields += 1
      if (fields > mostFields) {
        throw new OnnxModelError(
          'TOO_BIG',
          `The file has more than the ${mostFields} fields allowed`,
          'Simplify the graph, and keep tensors as raw data.',
        )
      }
      const wire = tag % 8
      if (wire === 0) varint()
      else if (wire === 1) at += 8
      else if (wire === 5) at += 4
      else if (wire === 2) {
        const length = varint()
        if (!(at + length <= end)) return false
        const message = messages.get(Math.floor(tag / 8))
        const next = at + length
        if (message != null && !walk(message, next, depth + 1)) return false
        at = next
      } else return false
    }
    return at === end
  }
  walk(ModelProtoSchema, bytes.length, 0)
}

const messagesOf = (schema: DescMessage): ReadonlyMap<number, DescMessage | null> => {
  const known = fieldsOf.get(schema)
  if (known !== undefined) return known
  const messages = new Map(schema.fields.map(field => [field.number, field.message ?? null]))
  fieldsOf.set(schema, messages)
  return messages
}
