import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { attempt, temporaryFolder } from '../testing/federation.ts'
import { UpdateStore } from './update-store.ts'

const limits = { maxUpdates: 3, maxBytes: 100 }
const facts = (round: number) => ({
  attempt: { ...attempt, round },
  baseSha256: 'ab'.repeat(32),
  examples: 5,
  trainSeconds: 0.5,
  metrics: [{ name: 'loss_q20', value: '-12' }],
})
const body = Buffer.from('hello')
const rounds = (store: UpdateStore): number[] => store.list().map(({ attempt: { round } }) => round)

suite('updates kept on disk', () => {
  test('come back after a restart, receipt included', async () => {
    await using folder = await temporaryFolder()
    const store = await UpdateStore.open(folder.path, limits)
    const kept = await store.keep(body, facts(1))
    assert.equal(kept.sha256, createHash('sha256').update('hello').digest('hex'))
    await store.addReceipt(kept.attempt, 'a.b.c')
    const again = await UpdateStore.open(folder.path, limits)
    assert.deepEqual(again.list(), [{ ...kept, receipt: 'a.b.c' }])
    assert.deepEqual(await readFile(again.bodyFile(kept.attempt)), body)
  })

  test('leave nothing behind when dropped', async () => {
    await using folder = await temporaryFolder()
    const store = await UpdateStore.open(folder.path, limits)
    const { attempt: ref } = await store.keep(body, facts(1))
    await store.drop(ref)
    assert.deepEqual([store.list(), await readdir(folder.path)], [[], []])
  })

  test('are bounded in number and bytes, oldest first', async () => {
    await using folder = await temporaryFolder()
    const store = await UpdateStore.open(folder.path, limits)
    for (const round of [1, 2, 3, 4]) await store.keep(body, facts(round))
    assert.deepEqual(rounds(store), [2, 3, 4])
    await store.keep(Buffer.alloc(91), facts(5))
    assert.deepEqual(rounds(store), [4, 5])
    assert.equal((await readdir(folder.path)).length, 4)
  })

  test('that are damaged or half written are forgotten at the next start', async () => {
    await using folder = await temporaryFolder()
    const store = await UpdateStore.open(folder.path, limits)
    const good = await store.keep(body, facts(1))
    const short = await store.keep(body, facts(2))
    await truncate(store.bodyFile(short.attempt), 3)
    await writeFile(join(folder.path, 'orphan.safetensors'), 'x')
    await writeFile(join(folder.path, 'half.json.0011.tmp'), '{')
    await writeFile(join(folder.path, 'other.json'), JSON.stringify({ ...good, sha256: '../../etc' }))
    // A record under a name that is not its own must not reach another attempt's body.
    await writeFile(join(folder.path, 'copy.json'), JSON.stringify(good))
    const again = await UpdateStore.open(folder.path, limits)
    assert.deepEqual(rounds(again), [1])
    assert.equal((await readdir(folder.path)).length, 2)
  })
})
