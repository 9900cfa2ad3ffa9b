import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { MemoryObjectStore } from '../testing/memory-object-store.ts'
import { sha256Of } from '../testing/sample-round.ts'
import { ObjectCache } from './object-cache.ts'

const signal = AbortSignal.timeout(60_000)
const open = async (mostBytes: number) => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-cache-'))
  const store = new MemoryObjectStore()
  const object = (name: string) => {
    const bytes = Buffer.from(name.padEnd(100, '.'))
    store.objects.set(name, bytes)
    return { objectKey: name, sha256: sha256Of(bytes), bytes: 100 }
  }
  const reopen = () => ObjectCache.open(folder, store, mostBytes)
  const cache = await reopen()
  return { folder, store, object, cache, reopen, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}

test('an object is fetched once, however many ask at the same time', async () => {
  await using place = await open(1000)
  const base = place.object('base')
  const all = await Promise.all(Array.from({ length: 20 }, () => place.cache.acquire(base, signal)))
  assert.equal(place.store.reads, 1)
  assert.equal(`${await readFile(all[0]?.path as string)}`.slice(0, 5), 'base.')
})

test('an object with other bytes than its sha256 never gets its name', async () => {
  await using place = await open(1000)
  const base = place.object('base')
  for (const other of ['x'.repeat(100), 'short', 'x'.repeat(101)]) {
    place.store.objects.set('base', Buffer.from(other))
    await assert.rejects(
      place.cache.acquire(base, signal),
      (error: unknown) => error instanceof TributaryError && error.code === 'CHECKSUM_MISMATCH',
    )
  }
  assert.deepEqual([place.cache.peek(base.sha256), place.cache.usedBytes], [null, 0])
})

test('what was used longest ago makes room, what is pinned stays', async () => {
  await using place = await open(250)
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(place.object) as [never, never, never, never]
  const pinned = await place.cache.acquire(a, signal)
  ;(await place.cache.acquire(b, signal))[Symbol.dispose]()
  using _ = await place.cache.acquire(c, signal)
  assert.equal(place.cache.peek((b as { sha256: string }).sha256), null)
  await assert.rejects(place.cache.acquire(d, signal), /no room/)
  pinned[Symbol.dispose]()
  ;(await place.cache.acquire(d, signal))[Symbol.dispose]()
  assert.equal(place.cache.usedBytes, 200)
})

test('after a restart an object on disk is used only when its bytes are still right', async () => {
  await using place = await open(1000)
  const [a, b] = ['a', 'b'].map(place.object) as [
    Parameters<ObjectCache['acquire']>[0],
    Parameters<ObjectCache['acquire']>[0],
  ]
  for (const object of [a, b]) (await place.cache.acquire(object, signal))[Symbol.dispose]()
  await writeFile(join(place.folder, b.sha256), 'y'.repeat(100))
  const again = await place.reopen()
  for (const object of [a, b]) (await again.acquire(object, signal))[Symbol.dispose]()
  assert.equal(place.store.reads, 3, 'b is fetched again, a is not')
})
