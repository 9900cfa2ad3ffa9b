import { mkdirSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { onFailpoint } from '../log/failpoint.ts'
import { FolderObjectStore } from './folder-object-store.ts'
import { sampleDescriptor, sampleObjects, sampleUpdate } from './sample-round.ts'
import { TestShard } from './test-shard.ts'

// Lives on a small disk, fills it at the worst moments, and tells what devices heard. Two tasks share the shard.
const [disk = '', objects = ''] = process.argv.slice(2)
const names = new Map(Object.entries(VerdictCode).map(([name, code]) => [code as number, name]))
const filler = join(disk, 'filler')
const fill = (): void => {
  const { bavail, bsize } = statfsSync(disk)
  try {
    writeFileSync(filler, Buffer.alloc(bavail * bsize), { flag: 'a' })
  } catch (error) {
    // A thread that wrote meanwhile took some of it: it is full all the same.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  }
}
const free = (): void => rmSync(filler, { force: true })

const store = new FolderObjectStore(objects)
const { manifest, base } = sampleObjects()
for (const { ref, bytes } of [manifest, base]) await store.put(ref.objectKey, bytes)
const folder = join(disk, 'data')
mkdirSync(folder)
const weights: string[] = []
await using shard = await TestShard.open({
  foldUpdates: 1,
  home: { folder, logKey: Buffer.alloc(32, 7).toString('base64'), store },
  onEvent: ({ weight }) => weights.push(weight),
})
await shard.takeLease(1)
const [first, second] = [1, 2].map(() => sampleDescriptor(shard.clock.now(), { goal: 4, select: 4 }))
if (first === undefined || second === undefined) throw new Error('two tasks')
for (const number of [1, 2, 3, 4]) shard.online(number)
for (const descriptor of [first, second]) await shard.opened(descriptor)

const heard: Record<string, string[]> = { spoolFull: [], logFull: [], after: [], other: [] }
const receipts = new Map<number, string>()
const push = async (descriptor: typeof first, number: number, where: string) => {
  const body = sampleUpdate([number, 0, 0], [0, 0])
  const token = await shard.tokenOf(descriptor, number)
  const header = { examples: BigInt(number), token }
  let answer = await shard.push(descriptor, number, body, header)
  const { receivedBytes } = answer
  // The body is there from before: nothing is left to send.
  if (answer.errorCode === '' && answer.code === VerdictCode.RETRY_AFTER && receivedBytes === body.byteLength) {
    answer = await shard.push(descriptor, number, body, { ...header, offset: BigInt(receivedBytes) }, [])
  }
  const name = `${names.get(answer.code)} ${answer.errorCode}`.trim()
  heard[where]?.push(name)
  if (descriptor === first && answer.receipt !== '') receipts.set(number, answer.receipt)
  return name
}

// The disk is full before the body comes.
fill()
for (const number of [1, 2]) await push(first, number, 'spoolFull')
const wasFull = shard.admission.room.isFull
free()
// The disk is full once the body is durable: there is no room for its record, or none for the sum.
onFailpoint(name => {
  if (name === 'spool.after-sync' || name === 'log.before-write') fill()
})
for (const number of [1, 2, 3, 4]) {
  await push(first, number, 'logFull')
  free()
}
onFailpoint(() => {})
/** Lets time pass until something is so. */
const passUntil = async (done: () => boolean) => {
  for (let i = 0; !done(); i += 1) {
    if (i > 1000) throw new Error('it never happened')
    shard.clock.advance(100)
    shard.lease()
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
for (const number of [1, 2, 3, 4]) await push(first, number, 'after')
for (const number of [1, 2, 3, 4]) await push(second, number, 'other')
await passUntil(() => weights.length === 2)
writeSync(1, JSON.stringify({ heard, receipts: receipts.size, weights, wasFull }))
