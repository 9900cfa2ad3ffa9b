import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { v7 as uuidv7 } from 'uuid'
import { Budget } from './budget.ts'
import { armFailpoint, onFailpoint } from './failpoint.ts'
import { LogKey } from './log-key.ts'
import { RangeReader } from './sealed-file.ts'
import { UpdateSpool } from './update-spool.ts'

let folder: string
let budget: Budget
const key = new LogKey(Buffer.alloc(32, 9))
const open = () => UpdateSpool.open(folder, { key, budget, reservedBytes: 0 })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-spool-'))
  budget = new Budget(64 * 1024 * 1024)
})
afterEach(() => rm(folder, { recursive: true }))

/** A body of so many bytes that no other has. */
const bodyOf = (seed: number, length = 1000) => {
  const bytes = Buffer.from(Array.from({ length }, (_, i) => (i * 31 + seed) % 251))
  return { device: uuidv7(), bytes, sha256: createHash('sha256').update(bytes).digest('hex') }
}
type Body = ReturnType<typeof bodyOf>
const send = async (spool: UpdateSpool, { device, bytes, sha256 }: Body, from = 0, to = bytes.byteLength) => {
  await using writer = await spool.append(device, sha256, bytes.byteLength)
  for (let at = from; at < to; at += 300) await writer.write(bytes.subarray(at, Math.min(to, at + 300)))
  await writer.sync()
}
const holds = async (spool: UpdateSpool, { device, bytes, sha256 }: Body) => {
  assert.equal(await spool.received(device, sha256), bytes.byteLength)
  await using reader = await RangeReader.open(spool.body(device, sha256, bytes.byteLength))
  assert.ok((await reader.range(0, bytes.byteLength)).equals(bytes))
}

test('small bodies share a file, are found again after a restart, and the file goes with the last of them', async () => {
  const bodies = [1, 2, 3, 4, 5].map(seed => bodyOf(seed))
  const spool = await open()
  await Promise.all(bodies.map(body => send(spool, body)))
  assert.deepEqual(await readdir(folder), ['bodies.1'])
  for (const body of bodies) await holds(spool, body)
  const raw = await stat(join(folder, 'bodies.1'))
  assert.equal(raw.size, 5 * (128 + 1000))
  await spool.close()
  assert.equal(budget.used, 0)

  const again = await open()
  for (const body of bodies) await holds(again, body)
  const late = bodyOf(6)
  await send(again, late)
  await holds(again, late)
  for (const { device } of bodies) await again.remove(device)
  assert.deepEqual(await readdir(folder), ['bodies.2'])
  await again.remove(late.device)
  assert.deepEqual(await readdir(folder), [])
  assert.equal(budget.used, 0)
  await again.close()
})

test('bodies of one file are sealed by one stream, no part of which is used twice', async () => {
  const blank = () => ({ ...bodyOf(0), bytes: Buffer.alloc(1024) })
  const seen = new Set<string>()
  let blocks = 0
  for (const run of [1, 2]) {
    const spool = await open()
    for (let group = 0; group < 3; group += 1) {
      await Promise.all([send(spool, blank()), send(spool, blank())])
    }
    await spool.close()
    const file = await readFile(join(folder, `bodies.${run}`))
    const salts = new Set<string>()
    for (let at = 0; at < file.byteLength; at += 128 + 1024) {
      salts.add(file.toString('hex', at + 56, at + 88))
      // Zeros, sealed, are the stream itself.
      for (let block = at + 128; block < at + 128 + 1024; block += 16) {
        seen.add(file.toString('hex', block, block + 16))
        blocks += 1
      }
    }
    assert.equal(salts.size, 1)
  }
  assert.equal(blocks, 2 * 3 * 2 * 64)
  assert.equal(seen.size, blocks)
})

test('what comes after a sync that failed goes to another file under another key, and what was durable before stays', async () => {
  const [before, lost, after] = [1, 2, 3].map(seed => bodyOf(seed)) as [Body, Body, Body]
  const spool = await open()
  await send(spool, before)
  armFailpoint({ name: 'spool.after-sync', count: 1, action: 'fail' })
  await assert.rejects(send(spool, lost), { code: 'EIO' })
  onFailpoint(() => {})
  assert.equal(await spool.received(lost.device, lost.sha256), 0)
  await send(spool, after)
  await send(spool, lost)
  assert.deepEqual((await readdir(folder)).sort(), ['bodies.1', 'bodies.2'])
  const salts = await Promise.all(['bodies.1', 'bodies.2'].map(name => readFile(join(folder, name))))
  assert.equal(new Set(salts.map(file => file.toString('hex', 56, 88))).size, 2)
  assert.ok(
    salts[0]?.subarray(128 + 1000).includes(lost.sha256, 0, 'hex'),
    'the disk may have it, and it is not written over',
  )
  for (const body of [before, after, lost]) await holds(spool, body)
  await spool.close()
})

test('a small body whose upload is cut goes on from where it was, also after a restart', async () => {
  const body = bodyOf(1)
  const spool = await open()
  await send(spool, body, 0, 700)
  assert.equal(await spool.received(body.device, body.sha256), 700)
  await spool.close()
  const again = await open()
  assert.equal(await again.received(body.device, body.sha256), 700)
  await send(again, body, 700)
  await holds(again, body)
  await again.close()
})

test('a large body has a file of its own', async () => {
  const body = bodyOf(1, 600_000)
  const spool = await open()
  await send(spool, body)
  await holds(spool, body)
  assert.deepEqual(await readdir(folder), [`${body.device}.${body.sha256}`])
  await spool.close()
})

test('what is torn at the end of a shared file was promised to nobody, and costs no other body', async () => {
  const bodies = [1, 2, 3].map(seed => bodyOf(seed))
  const spool = await open()
  for (const body of bodies) await send(spool, body)
  await spool.close()
  await truncate(join(folder, 'bodies.1'), 3 * (128 + 1000) - 1)
  const [first, second, third] = bodies as [Body, Body, Body]
  const again = await open()
  await holds(again, first)
  await holds(again, second)
  assert.equal(await again.received(third.device, third.sha256), 0)
  await send(again, third)
  await holds(again, third)
  await again.close()
})

test('another body of a device takes the place of the one before', async () => {
  const first = bodyOf(1)
  const second = { ...bodyOf(2), device: first.device }
  const spool = await open()
  await send(spool, first)
  await send(spool, second)
  assert.equal(await spool.received(first.device, first.sha256), 0)
  await holds(spool, second)
  await spool.close()
  // A crash may bring the first back; the second is there all the same.
  const again = await open()
  await holds(again, second)
  await again.remove(first.device)
  assert.deepEqual(await readdir(folder), [])
  await again.close()
})

test('a device whose body is coming is known before the body is whole', async () => {
  const { device, sha256, bytes } = bodyOf(1)
  const spool = await open()
  {
    await using writer = await spool.append(device, sha256, bytes.byteLength)
    await writer.write(bytes.subarray(0, 10))
    assert.equal(spool.has(device), true)
  }
  assert.equal(spool.has(device), false)
  assert.equal(budget.used, 0)
  await spool.close()
})

test('a spool without room refuses, and what it refused takes none', async () => {
  budget = new Budget(20_000)
  const spool = await open()
  const first = bodyOf(1)
  await send(spool, first)
  await assert.rejects(send(spool, bodyOf(2, 5000)), { name: 'NoRoomError' })
  await spool.remove(first.device)
  assert.equal(budget.used, 0)
  await send(spool, bodyOf(2, 5000))
  await spool.close()
})

test('a small body that is whole only when the spool is closed opens no file, which nobody would close', async () => {
  const spool = await open()
  const { device, bytes, sha256 } = bodyOf(1)
  await using writer = await spool.append(device, sha256, bytes.byteLength)
  await writer.write(bytes)
  await spool.close()
  await assert.rejects(writer.sync(), /the spool is closed/)
  assert.deepEqual(await readdir(folder), [])
})
