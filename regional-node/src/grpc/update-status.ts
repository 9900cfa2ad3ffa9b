import { create } from '@bufbuild/protobuf'
import {
  type UpdateStatusRequest,
  type UpdateStatusResponse,
  UpdateStatusResponseSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Sha256 } from '@tributary/contracts/ids'
import { findAttempt, readTrainingToken } from '../attempt/admission.ts'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { NodeServices } from './node-services.ts'
import { verdicts } from './verdicts.ts'

/** How far an update is: the durable prefix of its body, or its verdict with the receipt that may have been lost. */
export const updateStatus =
  (node: NodeServices) =>
  async ({ token: text, sha256 }: UpdateStatusRequest, device: KnownDevice): Promise<UpdateStatusResponse> => {
    const token = await readTrainingToken(node.tokens, text, device)
    if (token === null) return create(UpdateStatusResponseSchema, { verdict: verdicts.unauthorised() })
    if (!Sha256.safeParse(sha256).success) {
      return create(UpdateStatusResponseSchema, { verdict: verdicts.invalid('BODY_INVALID', 'sha256 is malformed.') })
    }
    const place = await findAttempt(node, token, sha256)
    if ('verdict' in place) return create(UpdateStatusResponseSchema, { verdict: place.verdict })
    const receivedBytes = BigInt(await place.attempt.spool.received(device.device, sha256))
    return create(UpdateStatusResponseSchema, { receivedBytes })
  }
