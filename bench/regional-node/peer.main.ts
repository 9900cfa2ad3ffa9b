/** The peer: a gRPC server with mutual TLS that takes the same calls and only counts bytes. Settings and port by IPC. */
import { readFileSync } from 'node:fs'
import { create } from '@bufbuild/protobuf'
import { Server, ServerCredentials, type ServerReadableStream, type sendUnaryData } from '@grpc/grpc-js'
import {
  type PushUpdateRequest,
  type PushUpdateResponse,
  PushUpdateResponseSchema,
  VerdictCode,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { chunkBytes, federatedLearningMethods } from '@tributary/contracts/grpc-service'

const [certificate = '', key = '', authority = ''] = process.argv.slice(2).map(file => readFileSync(file))
const server = new Server({ 'grpc.max_receive_message_length': 2 * chunkBytes })
const { pushUpdate } = federatedLearningMethods
server.addService({ pushUpdate } as never, {
  pushUpdate: (
    call: ServerReadableStream<PushUpdateRequest, PushUpdateResponse>,
    answer: sendUnaryData<PushUpdateResponse>,
  ) => {
    let bytes = 0
    call.on('data', ({ part }: PushUpdateRequest) => {
      if (part.case === 'chunk') bytes += part.value.byteLength
    })
    call.on('end', () =>
      answer(
        null,
        create(PushUpdateResponseSchema, { verdict: { code: VerdictCode.ACCEPTED }, receivedBytes: BigInt(bytes) }),
      ),
    )
  },
})
const credentials = ServerCredentials.createSsl(
  authority as Buffer,
  [{ cert_chain: certificate as Buffer, private_key: key as Buffer }],
  true,
)
server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
  if (error !== null) throw error
  process.send?.(port)
})
process.on('disconnect', () => server.forceShutdown())
