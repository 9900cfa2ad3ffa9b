import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { until } from '../testing/manual-clock.ts'
import { sampleDescriptor, sampleUpdate } from '../testing/sample-round.ts'
import { TestShard, type TestShardOptions } from '../testing/test-shard.ts'

const { ACCEPTED, ALREADY, WRONG_ATTEMPT, WRONG_SHARD } = VerdictCode
const bodies = [1, 2, 3, 4].map(number => sampleUpdate([number / 4, -number, 0.125], [number, 1]))
const body = (number: number) => bodies[number - 1] as Uint8Array

const open = async (options: TestShardOptions, plan = { goal: 4, select: 4 }) => {
  const shard = await TestShard.open(options)
  const descriptor = sampleDescriptor(shard.clock.now(), plan)
  for (const number of [1, 2, 3, 4]) shard.online(number)
  await shard.opened(descriptor)
  const push = (number: number) => shard.push(descriptor, number, body(number), { examples: BigInt(number) })
  return { shard, descriptor, push, [Symbol.asyncDispose]: () => shard[Symbol.asyncDispose]() }
}
const folderOf = (shard: TestShard, { task, round, attempt }: RoundDescriptor) =>
  shard.folders.path(0, 1, 'attempts', `${task}.${round}.${attempt}`)
const namesIn = async (folder: string) => (await readdir(folder)).sort()
/** Files below the attempt's folder, without the log. */
const kept = async (folder: string) => {
  const spooled = await namesIn(join(folder, 'spool'))
  return { sums: (await namesIn(folder)).filter(name => name.startsWith('sum.')), spooled: spooled.length }
}
/** Waits until no body is left, and so many sum files. */
const settled = async (shard: TestShard, descriptor: RoundDescriptor, sums = 1): Promise<void> => {
  const end = performance.now() + 10_000
  for (;;) {
    const now = await kept(folderOf(shard, descriptor))
    if (now.spooled === 0 && now.sums.length === sums) return
    assert.ok(performance.now() < end, JSON.stringify(now))
  }
}

// 1·w1 + 2·w2 + 3·w3 + 4·w4 of the first value, a quarter of each number: (1 + 4 + 9 + 16) / 4, times 2^25.
const firstValue = BigInt((30 / 4) * 2 ** 25)
const firstOf = (file: Buffer | undefined) => {
  const header = Number(file?.readBigUInt64LE(0)) + 8
  return file?.readBigInt64LE(header)
}

for (const [where, sumMemoryBytes] of [
  ['memory', 1e9],
  ['a file', 0],
] as const) {
  test(`a sum in ${where} that is folded after each update is the same, and bodies do not stay`, async () => {
    const sums: string[] = []
    for (const foldUpdates of [1, 3, 256]) {
      await using opened = await open({ foldUpdates, sumMemoryBytes })
      const { shard, descriptor, push } = opened
      for (const number of [3, 1]) assert.equal((await push(number)).code, ACCEPTED)
      if (foldUpdates === 1) await settled(shard, descriptor)
      for (const number of [4, 2]) assert.equal((await push(number)).code, ACCEPTED)
      const { sum, weight, accepted } = await shard.summed()
      assert.deepEqual([weight, accepted], ['10', 4])
      sums.push(`${sum?.sha256}`)
      assert.equal(firstOf(shard.store.objects.get(`${sum?.objectKey}`)), firstValue)
      await settled(shard, descriptor, 0)
    }
    assert.equal(new Set(sums).size, 1)
  })

  test(`a restart goes on from a folded sum in ${where}; folded devices hear the same receipt`, async () => {
    await using opened = await open({ foldUpdates: 2, sumMemoryBytes })
    const { shard, descriptor, push } = opened
    const first = await push(1)
    const second = await push(2)
    await settled(shard, descriptor)
    const third = await push(3)
    await shard.restart({ foldUpdates: 2, sumMemoryBytes })
    assert.equal(shard.reopened, 'opened')
    await shard.opened(descriptor)
    for (const [number, before] of [first, second, third].entries()) {
      const again = await push(number + 1)
      assert.deepEqual([again.code, again.receipt], [ALREADY, before.receipt])
    }
    assert.equal((await push(4)).code, ACCEPTED)
    const { sum, weight } = await shard.summed()
    assert.deepEqual([weight, firstOf(shard.store.objects.get(`${sum?.objectKey}`))], ['10', firstValue])
    assert.equal((await push(1)).receipt, first.receipt, 'after the close, too')
  })
}

test('nothing of updates, devices or sums is on the disk in clear', async () => {
  await using opened = await open({ foldUpdates: 2 })
  const { shard, descriptor, push } = opened
  await push(1)
  await push(2)
  await settled(shard, descriptor)
  await push(3)
  const folder = folderOf(shard, descriptor)
  const files = [join(folder, 'log'), join(folder, (await kept(folder)).sums[0] as string)]
  for (const name of await namesIn(join(folder, 'spool'))) files.push(join(folder, 'spool', name))
  assert.equal(files.length, 3)
  const secrets = ['device-1', 'digits', '"w"', 'sum/w', 'F32', 'receipt', 'examples'].map(text => Buffer.from(text))
  secrets.push(Buffer.from(body(3).slice(-20)), Buffer.from(shard.logKey, 'base64'))
  for (const file of files) {
    const content = await readFile(file)
    for (const secret of secrets) assert.equal(content.includes(secret), false, `${file} holds ${secret}`)
  }
})

test('without the key of the lease the log is of no use: the shard is void, and the next epoch begins with nothing', async () => {
  await using opened = await open({})
  const { shard, descriptor, push } = opened
  const { code } = await push(1)
  assert.equal(code, ACCEPTED)
  shard.logKey = Buffer.alloc(32, 1).toString('base64')
  await shard.restart({})
  assert.equal(shard.reopened, 'void')
  assert.deepEqual([shard.folders.kept, shard.attempts.holding], [[], []])
  await shard.takeLease(2)
  assert.deepEqual([shard.reopened, shard.folders.epochOf(0)], ['new', 2])
  const token = await shard.tokenOf(descriptor, 1, 2)
  assert.equal((await shard.push(descriptor, 1, body(1), { token })).code, WRONG_ATTEMPT)
})

type Damage = (folder: string, file: (name: string) => string) => Promise<void>
const damages: [string, Damage][] = [
  ['a body of an accepted update is gone', folder => rm(join(folder, 'spool'), { recursive: true })],
  [
    'a body of an accepted update is cut',
    async folder => {
      const [name = ''] = await namesIn(join(folder, 'spool'))
      await truncate(join(folder, 'spool', name), 70)
    },
  ],
  ['the sum file is gone', (_, file) => rm(file('sum'))],
  [
    'the sum file is damaged in one bit',
    async (_, file) => {
      const bytes = await readFile(file('sum'))
      bytes[bytes.byteLength - 1] = (bytes.at(-1) as number) ^ 1
      await writeFile(file('sum'), bytes)
    },
  ],
]
for (const [what, damage] of damages) {
  test(`when ${what} the receipts cannot be kept: the shard is void`, async () => {
    await using opened = await open({ foldUpdates: 2 })
    const { shard, descriptor, push } = opened
    for (const number of [1, 2]) await push(number)
    await settled(shard, descriptor)
    await push(3)
    await shard.attempts.close()
    const folder = folderOf(shard, descriptor)
    const { sums } = await kept(folder)
    await damage(folder, () => join(folder, sums[0] as string))
    await shard.restart({ foldUpdates: 2 })
    assert.equal(shard.reopened, 'void')
  })
}

test('an attempt that died before its opening was durable is forgotten, and the shard stays', async () => {
  await using opened = await open({})
  const { shard, descriptor, push } = opened
  await push(1)
  await shard.attempts.close()
  const other = shard.folders.path(0, 1, 'attempts', `${descriptor.task}.2.1`)
  await mkdir(other)
  await writeFile(join(other, 'log'), 'TRIBLOG2')
  await shard.restart({})
  assert.equal(shard.reopened, 'opened')
  assert.equal(shard.attempts.holding.length, 1)
})

test('a spool without room folds what it can, so that the next update finds some', async () => {
  // Room for two bodies with what goes with them, and the log.
  await using opened = await open({ spoolBytes: 26_000 })
  const { shard, descriptor, push } = opened
  assert.equal((await push(1)).code, ACCEPTED)
  assert.equal((await push(2)).code, ACCEPTED)
  const refused = await push(3)
  assert.deepEqual([refused.code, refused.errorCode, refused.receipt], [VerdictCode.RETRY_AFTER, 'NODE_FULL', ''])
  assert.equal(shard.admission.room.isFull, true)
  await settled(shard, descriptor)
  assert.equal((await push(3)).code, ACCEPTED)
  assert.equal((await push(4)).code, ACCEPTED)
  assert.equal((await shard.summed()).accepted, 4)
  await until(() => shard.statusChanges > 0)
  shard.clock.advance(20_000)
  assert.equal(shard.admission.room.isFull, false)
})

test('sum files take room from updates: a device that finds none is told NODE_FULL, before a restart and after it', async () => {
  // Each update alone in the spool, so that of it only the record and the sum file stay.
  const measured = await (async () => {
    await using opened = await open({ foldUpdates: 1 })
    const { shard, descriptor, push } = opened
    const before = shard.spoolRoom.used
    await push(1)
    await settled(shard, descriptor)
    const folder = folderOf(shard, descriptor)
    const [sum = ''] = (await kept(folder)).sums
    const [log, file] = await Promise.all([stat(join(folder, 'log')), stat(join(folder, sum))])
    await until(() => shard.spoolRoom.used === log.size + file.size)
    return { before, file: file.size, after: shard.spoolRoom.used }
  })()
  assert.ok(measured.file > 0 && measured.after > measured.before + measured.file)
  // What a body takes while it is in the spool: 64 bytes of head, and 8192 for its record.
  const room = 64 + body(2).byteLength + 8192
  for (const restarted of [false, true]) {
    const most = measured.after + room
    for (const [spoolBytes, code] of [
      [most + 100, ACCEPTED],
      [most - measured.file + 100, VerdictCode.RETRY_AFTER],
    ] as const) {
      await using opened = await open({ foldUpdates: 1, spoolBytes })
      const { shard, descriptor, push } = opened
      assert.equal((await push(1)).code, ACCEPTED)
      await settled(shard, descriptor)
      if (restarted) {
        await shard.restart({ foldUpdates: 1, spoolBytes })
        await shard.opened(descriptor)
      } else await until(() => shard.spoolRoom.used < measured.after + 100)
      const answer = await push(2)
      assert.deepEqual([answer.code, answer.errorCode], [code, code === ACCEPTED ? '' : 'NODE_FULL'])
    }
  }
})

test('a sum file that is damaged while the shard is open voids this shard alone: its epoch is over, and devices send again', async () => {
  await using opened = await open({ foldUpdates: 1, sumMemoryBytes: 0 })
  const { shard, descriptor, push } = opened
  await push(1)
  await settled(shard, descriptor)
  const folder = folderOf(shard, descriptor)
  const [sum = ''] = (await kept(folder)).sums
  const bytes = await readFile(join(folder, sum))
  bytes[bytes.byteLength - 1] = (bytes.at(-1) as number) ^ 1
  await writeFile(join(folder, sum), bytes)
  // Its own receipt was given before the fold that finds the damage.
  await push(2)
  await until(() => shard.attempts.holding.length === 0 && shard.statusChanges > 0)
  assert.deepEqual([shard.folders.kept, shard.leases.shards], [[], []])
  assert.equal(
    (await shard.push(descriptor, 1, body(1), { token: await shard.tokenOf(descriptor, 1) })).code,
    WRONG_SHARD,
  )
  await shard.takeLease(1)
  assert.equal(shard.reopened, 'void', 'a lease that was renewed meanwhile brings nothing back')
  await shard.takeLease(2)
  assert.equal(shard.reopened, 'new')
  const again = { ...descriptor, shards: descriptor.shards.map(plan => ({ ...plan, epoch: 2 })) }
  await shard.opened(again)
  for (const number of [1, 2, 3, 4]) {
    const { code } = await shard.push(again, number, body(number), { examples: BigInt(number) })
    assert.equal(code, ACCEPTED)
  }
  const { sum: stored, weight } = await shard.summed()
  assert.deepEqual([weight, firstOf(shard.store.objects.get(`${stored?.objectKey}`))], ['10', firstValue])
})

test('a sum file that is damaged between the opening of the log and the work of the attempt voids the shard', async () => {
  await using opened = await open({ foldUpdates: 1 })
  const { shard, descriptor, push } = opened
  await push(1)
  await settled(shard, descriptor)
  const [sum = ''] = (await kept(folderOf(shard, descriptor))).sums
  await shard.crash({ foldUpdates: 1 })
  // Found whole as the log is opened; the attempt goes on only once its lease is renewed.
  await shard.takeLease(1)
  assert.equal(shard.reopened, 'opened')
  const path = join(folderOf(shard, descriptor), sum)
  const bytes = await readFile(path)
  bytes[bytes.byteLength - 1] = (bytes.at(-1) as number) ^ 1
  await writeFile(path, bytes)
  shard.lease()
  shard.attempts.leased(0)
  await until(() => shard.attempts.holding.length === 0 && shard.statusChanges > 0)
  assert.deepEqual([shard.folders.kept, shard.leases.shards], [[], []])
})

test('a sum file that is damaged or gone when the shard closes is not stored: the shard is void', async () => {
  for (const damage of ['flip', 'remove']) {
    await using opened = await open({ foldUpdates: 1 }, { goal: 2, select: 2 })
    const { shard, descriptor, push } = opened
    const write = shard.store.write.bind(shard.store)
    const folder = folderOf(shard, descriptor)
    shard.store.write = async (...which) => {
      const sum = `${shard.attempts.find(descriptor, 0)?.state.folded?.sum.file}`
      if (damage === 'flip') await writeFile(join(folder, sum), Buffer.alloc((await stat(join(folder, sum))).size))
      else await rm(join(folder, sum))
      return write(...which)
    }
    const devices = [1, 2, 3, 4].filter(number =>
      shard.attempts.find(descriptor, 0)?.state.selected.has(shard.device(number).device),
    )
    for (const number of devices) assert.equal((await push(number)).code, ACCEPTED)
    await until(() => shard.attempts.holding.length === 0 && shard.statusChanges > 0)
    assert.deepEqual([shard.folders.kept, shard.events, shard.store.objects.size], [[], [], 2])
  }
})

test('a shard on its way out when the node dies is not taken for one that lacks a part', async () => {
  await using opened = await open({})
  const { shard, push } = opened
  await push(1)
  await shard.attempts.close()
  const root = dirname(dirname(shard.folders.path(0, 1)))
  await rename(join(root, '0'), join(root, '0.removed'))
  await shard.crash({})
  assert.deepEqual([shard.folders.kept, await namesIn(root)], [[{ shard: 0, epoch: 1 }], ['0']])
})
