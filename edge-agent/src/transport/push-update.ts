import { open } from 'node:fs/promises'
import { create } from '@bufbuild/protobuf'
import {
  Codec,
  type PushUpdateRequest,
  PushUpdateRequestSchema,
  UpdateHeaderSchema,
  UpdateKind,
  UpdateStatusRequestSchema,
  type Verdict,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { chunkBytes } from '@tributary/contracts/grpc-service'
import type { KeptUpdate } from '../state/kept-update.ts'
import type { Answered, NodeClient } from './node-client.ts'

/** A verdict and the certificate (DER) of the node that gave it. */
export type PushAnswer = { readonly verdict: Verdict | undefined; readonly nodeCertificate: Uint8Array | undefined }

/**
 * Sends a kept update once. With `resume`, asks first how much of it the node has, sends only the rest, or nothing where
 * the verdict was only lost on its way. Throws CallError.
 */
export const pushUpdate = async (
  client: NodeClient,
  token: string,
  update: KeptUpdate,
  bodyFile: string,
  resume: boolean,
  signal: AbortSignal,
): Promise<PushAnswer> => {
  let offset = 0
  if (resume) {
    const status = await client.updateStatus(
      create(UpdateStatusRequestSchema, { token, sha256: update.sha256 }),
      signal,
    )
    if (status.response.verdict !== undefined) return answerOf(status)
    offset = Number(status.response.receivedBytes)
    if (!(offset <= update.bytes)) offset = 0
  }
  return answerOf(await client.pushUpdate(partsOf(token, update, bodyFile, offset), signal))
}

const answerOf = ({ response, nodeCertificate }: Answered<{ verdict?: Verdict | undefined }>): PushAnswer => ({
  verdict: response.verdict,
  nodeCertificate,
})

async function* partsOf(
  token: string,
  update: KeptUpdate,
  bodyFile: string,
  offset: number,
): AsyncGenerator<PushUpdateRequest> {
  const header = create(UpdateHeaderSchema, {
    token,
    kind: UpdateKind.DELTA,
    codec: Codec.NONE,
    baseSha256: update.baseSha256,
    totalBytes: BigInt(update.bytes),
    sha256: update.sha256,
    offset: BigInt(offset),
    examples: BigInt(update.examples),
    trainSeconds: update.trainSeconds,
    metrics: update.metrics.map(({ name, value }) => ({ name, value: BigInt(value) })),
  })
  yield create(PushUpdateRequestSchema, { part: { case: 'header', value: header } })
  if (offset === update.bytes) return
  await using file = await open(bodyFile, 'r')
  // The stream must not close the file: `file` owns it.
  for await (const chunk of file.createReadStream({ start: offset, highWaterMark: chunkBytes, autoClose: false })) {
    yield create(PushUpdateRequestSchema, { part: { case: 'chunk', value: chunk as Buffer } })
  }
}
