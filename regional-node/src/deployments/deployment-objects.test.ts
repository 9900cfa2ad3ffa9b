import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { ObjectCache } from '../storage/object-cache.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { MemoryObjectStore } from '../testing/memory-object-store.ts'
import { sampleDeployment } from '../testing/sample-deployment.ts'
import { DeploymentObjects } from './deployment-objects.ts'

const begin = async (mostBytes = 1000) => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-deployed-'))
  const store = new MemoryObjectStore()
  for (const name of ['weights', 'manifest', 'graph']) store.objects.set(name, Buffer.from(name))
  const clock = new ManualClock()
  const reported: string[] = []
  const descriptor = sampleDeployment()
  const objects = new DeploymentObjects({
    cache: await ObjectCache.open(folder, store, mostBytes),
    deployments: { find: id => (id === descriptor.deployment ? descriptor : undefined) },
    clock,
    journal: { report: (_level, message) => void reported.push(message) },
    stop: AbortSignal.timeout(60_000),
  })
  const open = (sha256: string, deployment = descriptor.deployment) => objects.acquire(deployment, sha256)
  return { store, clock, reported, descriptor, open, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}
const refusal = (code: string) => (error: unknown) => error instanceof TributaryError && error.code === code

test('a file is fetched when the first device asks, once for all, and again where it had to make room', async () => {
  await using place = await begin(10)
  const { weights, manifest } = place.descriptor
  const opened = await Promise.all(Array.from({ length: 20 }, () => place.open(weights.sha256)))
  assert.equal(`${await readFile(opened[0]?.path ?? '')}`, 'weights')
  assert.equal(place.store.reads, 1)
  for (const object of opened) object[Symbol.dispose]()
  ;(await place.open(manifest.sha256))[Symbol.dispose]()
  ;(await place.open(weights.sha256))[Symbol.dispose]()
  assert.equal(place.store.reads, 3)
})

test('what cannot be fetched is reported, and storage is left alone for a while', async () => {
  await using place = await begin()
  const { graph } = place.descriptor
  place.store.objects.set('graph', Buffer.from('other'))
  for (let device = 0; device < 5; device += 1) await assert.rejects(place.open(graph.sha256), refusal('UNAVAILABLE'))
  assert.deepEqual([place.store.reads, place.reported.length], [1, 1])
  place.clock.advance(10_000)
  place.store.objects.set('graph', Buffer.from('graph'))
  ;(await place.open(graph.sha256))[Symbol.dispose]()
})

test('files of a deployment that is over are not fetched', async () => {
  await using place = await begin()
  const { weights } = place.descriptor
  await assert.rejects(place.open(weights.sha256, sampleDeployment().deployment), refusal('TOKEN_INVALID'))
  await assert.rejects(place.open('f'.repeat(64)), refusal('TOKEN_INVALID'))
  assert.equal(place.store.reads, 0)
})
