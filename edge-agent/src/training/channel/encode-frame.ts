/** Typed arrays that a frame carries as they are. */
export type FrameArray = Float32Array | Int32Array | Uint8Array
export type FrameArrayType = 'f32' | 'i32' | 'u8'

/** What stands in a frame's JSON before its arrays. */
export type FrameHeader = {
  /** The message; where it holds an array there is `{ array: index }`. */
  readonly message: unknown
  readonly arrays: readonly { readonly type: FrameArrayType; readonly bytes: number }[]
}

/** Bytes of the number of bytes of the header, before it. */
export const prefixBytes = 4

/**
 * A message as bytes: length of the header (uint32, little-endian), header (JSON), and the bytes of every array in the message,
 * in the order of the host, which is the order of both ends of a pipe. Nothing is copied: the arrays are views of the message's own.
 */
export const encodeFrame = (message: unknown): readonly Uint8Array[] => {
  const parts: Uint8Array[] = []
  const arrays: FrameHeader['arrays'][number][] = []
  const json = JSON.stringify(message, function (this: Record<string, unknown>, key, given: unknown) {
    // A Buffer has become something else already in `given`.
    const value = this[key]
    if (!isFrameArray(value)) return given
    parts.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
    return { array: arrays.push({ type: typeOf(value), bytes: value.byteLength }) - 1 }
  })
  const header = Buffer.from(`{"message":${json},"arrays":${JSON.stringify(arrays)}}`)
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt32LE(header.length)
  return [Buffer.concat([prefix, header]), ...parts]
}

const isFrameArray = (value: unknown): value is FrameArray =>
  value instanceof Float32Array || value instanceof Int32Array || value instanceof Uint8Array

const typeOf = (array: FrameArray): FrameArrayType =>
  array instanceof Float32Array ? 'f32' : array instanceof Int32Array ? 'i32' : 'u8'
