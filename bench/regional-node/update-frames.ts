import { createHash } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import { PushUpdateRequestSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { chunkBytes } from '@tributary/contracts/grpc-service'
import { updateLayout } from '@tributary/learning/update/update-body'
import { Manifest } from '@tributary/tensors/manifest'

/** One message as it goes over the wire. gRPC over HTTP/2: 0 (not compressed), length u32 big-endian, message. */
export const framed = (message: Uint8Array): Buffer => {
  const frame = Buffer.alloc(5 + message.byteLength)
  frame.writeUInt32BE(message.byteLength, 1)
  frame.set(message, 5)
  return frame
}

/** Most values of one tensor. */
const tensorValues = 10_000_000

/** A model of so many float32 values, in as many tensors as that takes. */
export const manifestOf = (values: number): Manifest => {
  const shapes: number[] = []
  for (let left = values; left > 0; left -= tensorValues) shapes.push(Math.min(left, tensorValues))
  return Manifest.parse({
    format: 'tributary.manifest/1',
    tensors: shapes.map((size, i) => ({ name: `w${i}`, dtype: 'F32', shape: [size], policy: 'average' })),
    inputs: [],
    outputs: [],
    loss: 'softmax-cross-entropy',
    labelKind: 'class-index',
  })
}

/** An update's body as chunk messages, ready to send; whatever its size, it takes the memory of two chunks. */
export type UpdateFrames = { readonly sha256: string; readonly totalBytes: number; readonly frames: readonly Buffer[] }

/** @param values of the model; the deltas are those of a small cycle, about 1e-3 */
export const updateFrames = (values: number): UpdateFrames => {
  const { header, fileBytes } = updateLayout(manifestOf(values))
  const pattern = new Uint8Array(Float32Array.from({ length: chunkBytes / 4 }, (_, i) => Math.sin(i) * 1e-3).buffer)
  const hash = createHash('sha256')
  const chunkFrame = (value: Uint8Array): Buffer =>
    framed(toBinary(PushUpdateRequestSchema, create(PushUpdateRequestSchema, { part: { case: 'chunk', value } })))
  const whole = chunkFrame(pattern)
  const frames: Buffer[] = []
  for (let at = 0; at < fileBytes; ) {
    const start = at === 0 ? header : new Uint8Array()
    const rest = pattern.subarray(0, Math.min(chunkBytes - start.byteLength, fileBytes - at - start.byteLength))
    const chunk = at === 0 ? Buffer.concat([start, rest]) : rest
    frames.push(chunk.byteLength === chunkBytes && at > 0 ? whole : chunkFrame(chunk))
    hash.update(chunk)
    at += chunk.byteLength
  }
  return { sha256: hash.digest('hex'), totalBytes: fileBytes, frames }
}
