import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  PushUpdateRequestSchema,
  UpdateHeaderSchema,
  VerdictCode,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { chunkBytes } from '@tributary/contracts/grpc-service'
import { createNodeMetrics } from '../health/node-metrics.ts'
import { sampleDescriptor, sampleUpdate } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'
import { pushUpdate } from './push-update.ts'

const body = sampleUpdate([1, 2, 3], [4, 5])
const chunk = (value: Uint8Array) => create(PushUpdateRequestSchema, { part: { case: 'chunk', value } })

test('an update is a header and chunks that have something in them', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 1, select: 1 })
  shard.online(1)
  await shard.opened(descriptor)
  const push = pushUpdate({ ...shard.admission, stallMillis: 30_000, metrics: createNodeMetrics() } as never)
  const value = create(UpdateHeaderSchema, await shard.header(descriptor, 1, body))
  const header = create(PushUpdateRequestSchema, { part: { case: 'header', value } })
  const send = (parts: readonly (typeof header)[]) => {
    const requests = async function* () {
      yield* parts
    }
    return push(requests(), shard.device(1), new AbortController().signal)
  }
  const refused: (readonly (typeof header)[])[] = [
    [],
    [chunk(body)],
    [header, header],
    [header, chunk(new Uint8Array(0)), chunk(body)],
    [header, chunk(new Uint8Array(chunkBytes + 1))],
  ]
  for (const parts of refused) await assert.rejects(send(parts), { code: 'BODY_INVALID' })
  const { verdict } = await send([header, chunk(body.subarray(0, 10)), chunk(body.subarray(10))])
  assert.equal(verdict?.code, VerdictCode.ACCEPTED)
})
