import { create } from '@bufbuild/protobuf'
import { TributaryError } from '@tributary/contracts/errors'
import {
  type PushUpdateRequest,
  type PushUpdateResponse,
  PushUpdateResponseSchema,
  VerdictCode,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { chunkBytes } from '@tributary/contracts/grpc-service'
import { admitUpdate } from '../attempt/admission.ts'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { NodeServices } from './node-services.ts'
import { withinMillis } from './stall-limit.ts'
import { StallWatch } from './stall-watch.ts'

const verdictNames = new Map(Object.entries(VerdictCode).map(([name, code]) => [code as number, name]))

/** Takes an update: header first, then chunks. Once the header was understood the answer is a verdict. */
export const pushUpdate =
  (node: NodeServices) =>
  async (
    requests: AsyncIterable<PushUpdateRequest>,
    device: KnownDevice,
    cancelled: AbortSignal,
  ): Promise<PushUpdateResponse> => {
    const parts = requests[Symbol.asyncIterator]()
    const first = await withinMillis(parts.next(), node.stallMillis, cancelled)
    if (first.done || first.value.part.case !== 'header') {
      throw new TributaryError('BODY_INVALID', { detail: 'The first message of an update must be its header.' })
    }
    const header = first.value.part.value
    async function* chunks(signal: AbortSignal): AsyncGenerator<Uint8Array> {
      using watch = new StallWatch(node.stallMillis, [signal, cancelled])
      for (let part = await watch.within(parts.next()); !part.done; part = await watch.within(parts.next())) {
        const message = part.value.part
        const size = message.case === 'chunk' ? message.value.byteLength : 0
        if (message.case !== 'chunk' || size === 0 || size > chunkBytes) {
          throw new TributaryError('BODY_INVALID', {
            detail: `After the header come chunks of 1 to ${chunkBytes} bytes.`,
          })
        }
        watch.came(size)
        node.metrics.uploadedBytes.add({}, size)
        yield message.value
      }
    }
    const { verdict, receivedBytes } = await admitUpdate(node, device, header, chunks)
    node.metrics.verdicts.add({ verdict: verdictNames.get(verdict.code) ?? 'UNKNOWN' })
    return create(PushUpdateResponseSchema, { verdict, receivedBytes: BigInt(receivedBytes) })
  }
