import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { CheckInResponseSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { TestAuthority } from '../testing/certificates.ts'
import { identityOf, publishBundle, startAgent, temporaryFolder, trainingWork } from '../testing/federation.ts'
import { TestNode } from '../testing/test-node.ts'

const waitSeconds = 60

test('a failure that no node took yet is told after a restart, once', async () => {
  const authority = await TestAuthority.create()
  const identity = await identityOf(authority)
  await using folder = await temporaryFolder()
  await using node = await TestNode.start(authority)
  publishBundle(node)
  const training = trainingWork({ dataset: 'absent' })
  // The shard is nobody's after the first answer: what is declared then is not durable anywhere.
  node.answerCheckIn = () =>
    create(CheckInResponseSchema, {
      result:
        node.checkIns.length === 1
          ? { case: 'assignment', value: { protocol: 1, pauseMillis: 100, training } }
          : { case: 'redirect', value: { endpoint: '', pauseMillis: 100 } },
    })
  {
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
    await node.until('a failure that is not taken', () => node.checkIns.at(-1)?.failed.length === 1, waitSeconds)
  }
  node.checkIns.length = 0
  node.answerCheckIn = undefined
  await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
  await node.until('two check-ins', () => node.checkIns.length >= 2, waitSeconds)
  assert.deepEqual(
    node.checkIns.slice(0, 2).map(({ failed }) => failed.map(({ code }) => code)),
    [['DATASET_UNUSABLE'], []],
  )
})
