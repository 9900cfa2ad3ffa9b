import assert from 'node:assert/strict'
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { sampleDescriptor, sampleUpdate } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'

// A disk of its own needs a mount namespace: unshare(1) of util-linux, where the system lets users have one.
const mayMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0

test('a full disk costs no receipt and ends nothing: uploads are refused by name, and once there is room both tasks complete', {
  skip: mayMount ? false : 'unshare(1) may not mount here',
  timeout: 60_000,
}, async () => {
  const home = await mkdtemp(join(tmpdir(), 'tributary-full-'))
  try {
    const disk = join(home, 'disk')
    await mkdir(disk)
    const program = fileURLToPath(new URL('../testing/full-disk-program.ts', import.meta.url))
    const script = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" "$3" "$1" "$4"'
    const args = ['-rm', 'sh', '-c', script, 'sh', disk, process.execPath, program, join(home, 'objects')]
    const { stdout } = await promisify(execFile)('unshare', args, { timeout: 50_000 })
    const { heard, receipts, weights, wasFull } = JSON.parse(stdout) as {
      heard: Record<string, string[]>
      receipts: number
      weights: string[]
      wasFull: boolean
    }
    const full = 'RETRY_AFTER NODE_FULL'
    assert.deepEqual(heard.spoolFull, [full, full])
    assert.equal(wasFull, true)
    // A record may still fit into the log's last block; at least one of four does not.
    assert.ok(heard.logFull?.includes(full), `${heard.logFull}`)
    assert.ok(
      heard.logFull?.every(name => name === full || name === 'ACCEPTED'),
      `${heard.logFull}`,
    )
    assert.deepEqual(
      heard.after,
      heard.logFull?.map(name => (name === 'ACCEPTED' ? 'ALREADY' : 'ACCEPTED')),
    )
    assert.deepEqual(heard.other, ['ACCEPTED', 'ACCEPTED', 'ACCEPTED', 'ACCEPTED'])
    assert.deepEqual([receipts, weights], [4, ['10', '10']])
  } finally {
    await rm(home, { recursive: true })
  }
})

const mayLimit = spawnSync('prlimit', ['--version']).status === 0

test('an update for which the disk has no room when it comes to it is refused by name, and taken once there is room', {
  skip: mayLimit ? false : 'there is no prlimit(1) here',
}, async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 1, select: 1 })
  shard.online(1)
  await shard.opened(descriptor)
  assert.equal(await shard.attempts.find(descriptor, 0)?.offers(shard.device(1)), true)
  const body = sampleUpdate([1, 2, 3], [4, 5])
  // How large a file may be: the disk says that it has room, and has none.
  const limitFiles = (bytes: string) => execFileSync('prlimit', ['--pid', `${process.pid}`, `--fsize=${bytes}:`])
  limitFiles('200')
  const refused = await shard.push(descriptor, 1, body).finally(() => limitFiles('unlimited'))
  assert.deepEqual([refused.code, refused.errorCode], [VerdictCode.RETRY_AFTER, 'NODE_FULL'])
  assert.equal(shard.admission.room.isFull, true)
  assert.equal((await shard.push(descriptor, 1, body)).code, VerdictCode.ACCEPTED)
})
