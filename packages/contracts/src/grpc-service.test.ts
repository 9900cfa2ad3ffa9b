import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type DescMessage, equals, type MessageShape } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import {
  CheckInRequestSchema,
  Codec,
  PullModelResponseSchema,
  PushUpdateRequestSchema,
  PushUpdateResponseSchema,
  ReportEvaluationRequestSchema,
  UpdateKind,
  VerdictCode,
} from './gen/tributary/fl/v1/fl_pb.ts'
import { chunkBytes, federatedLearningMethods as methods, protocolRange } from './grpc-service.ts'

const service = '/tributary.fl.v1.FederatedLearning'

test('paths and streams are those of the protocol', () => {
  const table = Object.entries(methods).map(([name, { path, requestStream, responseStream }]) => [
    name,
    path,
    requestStream,
    responseStream,
  ])
  assert.deepEqual(table, [
    ['checkIn', `${service}/CheckIn`, false, false],
    ['pullModel', `${service}/PullModel`, false, true],
    ['pushUpdate', `${service}/PushUpdate`, true, false],
    ['updateStatus', `${service}/UpdateStatus`, false, false],
    ['reportEvaluation', `${service}/ReportEvaluation`, false, false],
  ])
})

test('a request and an answer pass through the table as they were', () => {
  const same = <Schema extends DescMessage>(
    schema: Schema,
    message: MessageShape<Schema>,
    method: { to: (message: MessageShape<Schema>) => Buffer; from: (bytes: Buffer) => MessageShape<Schema> },
  ) => assert.ok(equals(schema, method.from(method.to(message)), message))
  const push = { to: methods.pushUpdate.requestSerialize, from: methods.pushUpdate.requestDeserialize }
  const header = {
    token: 'a.b.c',
    kind: UpdateKind.DELTA,
    codec: Codec.NONE,
    baseSha256: '0'.repeat(64),
    totalBytes: 2n ** 63n,
    sha256: 'f'.repeat(64),
    offset: 1n,
    examples: 60_000n,
    trainSeconds: 1.25,
    metrics: [{ name: 'loss_q20', value: -(2n ** 63n) }],
  }
  same(PushUpdateRequestSchema, create(PushUpdateRequestSchema, { part: { case: 'header', value: header } }), push)
  const answer = create(PushUpdateResponseSchema, {
    verdict: { code: VerdictCode.INVALID, errorCode: 'NOT_FINITE', tensor: 'w', detail: 'é' },
    receivedBytes: 7n,
  })
  same(PushUpdateResponseSchema, answer, {
    to: methods.pushUpdate.responseSerialize,
    from: methods.pushUpdate.responseDeserialize,
  })
  const report = create(ReportEvaluationRequestSchema, { token: 't', evaluation: 'e', examples: 10n, seconds: 0.5 })
  same(ReportEvaluationRequestSchema, report, {
    to: methods.reportEvaluation.requestSerialize,
    from: methods.reportEvaluation.requestDeserialize,
  })
})

test('chunks of any bytes pass, and the largest stays far below the 4 MiB that gRPC takes by default', () => {
  const { responseSerialize, responseDeserialize } = methods.pullModel
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 1000 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (chunk, totalBytes) => {
        const back = responseDeserialize(responseSerialize(create(PullModelResponseSchema, { chunk, totalBytes })))
        assert.deepEqual([Buffer.from(back.chunk), back.totalBytes], [Buffer.from(chunk), totalBytes])
      },
    ),
  )
  const largest = create(PullModelResponseSchema, { chunk: new Uint8Array(chunkBytes), totalBytes: 2n ** 64n - 1n })
  assert.ok(responseSerialize(largest).byteLength < 4 * 1024 * 1024)
})

test('the wire form is protobuf as its specification writes it', () => {
  // Field 1 (varint) 1, field 2 (varint) 1, field 3 (length-delimited) "v": tags 0x08, 0x10, 0x1a.
  const message = create(CheckInRequestSchema, { protocolMin: 1, protocolMax: 1, agentVersion: 'v' })
  assert.equal(methods.checkIn.requestSerialize(message).toString('hex'), '080110011a0176')
  assert.deepEqual({ ...protocolRange }, { min: 1, max: 1 })
})

test('bytes that are no message are refused with an error or read as one, nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
      for (const { requestDeserialize } of Object.values(methods)) {
        try {
          assert.equal(typeof requestDeserialize(Buffer.from(bytes)), 'object')
        } catch (error) {
          assert.ok(error instanceof Error && !(error instanceof assert.AssertionError))
        }
      }
    }),
  )
})
