import { open } from 'node:fs/promises'
import { create } from '@bufbuild/protobuf'
import { TributaryError } from '@tributary/contracts/errors'
import {
  type PullModelRequest,
  type PullModelResponse,
  PullModelResponseSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { chunkBytes } from '@tributary/contracts/grpc-service'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { NodeServices } from './node-services.ts'

/** Streams one object of a device's work from an offset. The receiver hashes the whole. */
export const pullModel = (node: NodeServices) =>
  async function* (
    { token: text, sha256, offset }: PullModelRequest,
    device: KnownDevice,
  ): AsyncGenerator<PullModelResponse> {
    const token = await node.tokens.read(text)
    if (token?.device !== device.device || token.certificateSha256 !== device.certificateSha256) {
      throw new TributaryError('TOKEN_INVALID')
    }
    if (!token.objects.includes(sha256)) throw new TributaryError('OBJECT_UNKNOWN')
    using object =
      token.work === 'deployment'
        ? await node.deploymentObjects.acquire(token.deployment, sha256)
        : node.cache.peek(sha256)
    if (object === null)
      throw new TributaryError('UNAVAILABLE', { detail: 'The object is not kept here now. Check in again.' })
    if (offset > BigInt(object.bytes)) {
      throw new TributaryError('BODY_INVALID', { detail: `The object has ${object.bytes} bytes.` })
    }
    await using file = await open(object.path, 'r')
    let at = Number(offset)
    yield create(PullModelResponseSchema, { totalBytes: BigInt(object.bytes), chunk: await read(at) })
    while (at < object.bytes) yield create(PullModelResponseSchema, { chunk: await read(at) })

    async function read(position: number): Promise<Uint8Array> {
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, (object?.bytes ?? 0) - position))
      const { bytesRead } =
        chunk.byteLength === 0 ? { bytesRead: 0 } : await file.read(chunk, 0, chunk.byteLength, position)
      if (bytesRead === 0 && chunk.byteLength > 0) throw new Error('a cached object is shorter than it was')
      at = position + bytesRead
      node.metrics.downloadedBytes.add({}, bytesRead)
      return chunk.subarray(0, bytesRead)
    }
  }
