import { writeSync } from 'node:fs'
import { VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { armFailpoint } from '../log/failpoint.ts'
import { FolderObjectStore } from './folder-object-store.ts'
import { sampleUpdate } from './sample-round.ts'
import type { ShardSaying, ShardTask } from './shard-process.ts'
import { TestShard } from './test-shard.ts'

// Written at once: what a process said before it was killed was said.
const say = (saying: ShardSaying): void => void writeSync(1, `${JSON.stringify(saying)}\n`)

/** The update of a device: small numbers, so that no product is rounded. */
const updateOf = (number: number) => sampleUpdate([number / 4, -number, 0.125], [number, 1])

const { descriptor, folder, objects, logKey, devices, failpoint, ...limits } = JSON.parse(
  process.argv[2] ?? '',
) as ShardTask
const store = new FolderObjectStore(objects)
const summed = Promise.withResolvers<void>()
await using shard = await TestShard.open({
  ...limits,
  home: { folder, logKey, store },
  onEvent: event => {
    say({ kind: 'summed', event })
    summed.resolve()
  },
})
if (failpoint !== undefined) armFailpoint(failpoint)
await shard.takeLease(1)
say({ kind: 'opened', as: `${shard.reopened}` })
shard.lease()
for (const number of devices) shard.online(number)
shard.attempts.leased(0)
await shard.attempts.reconcile(descriptor)
const { ACCEPTED, ALREADY } = VerdictCode
for (let awaited: readonly number[] = devices; awaited.length > 0; ) {
  const refused: number[] = []
  for (const number of awaited) {
    const token = await shard.tokenOf(descriptor, number)
    const header = { examples: BigInt(number), token }
    let answer = await shard.push(descriptor, number, updateOf(number), header)
    // A part of the body that came before the crash is there.
    if (answer.receivedBytes > 0 && answer.code === VerdictCode.RETRY_AFTER) {
      const rest = updateOf(number).subarray(answer.receivedBytes)
      const offset = BigInt(answer.receivedBytes)
      answer = await shard.push(descriptor, number, updateOf(number), { ...header, offset }, [rest])
    }
    if (answer.code !== ACCEPTED && answer.code !== ALREADY) refused.push(number)
    else say({ kind: 'receipt', device: number, receipt: answer.receipt })
  }
  awaited = refused
  await new Promise(setImmediate)
}
await summed.promise
