import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { bodyFaults, type StorageFault, storageFaults } from '@tributary/functions/testing/faulty-storage'
import { type AttemptOptions, type AttemptOutcome, openStorage, type StoredModel } from './attempt-on-storage.ts'

const allFaults: readonly StorageFault[] = [...storageFaults, ...bodyFaults]
const lanes = 8
/** The sum is larger than one part of an upload may be. */
const largeValues = 1_050_000

let storage: Awaited<ReturnType<typeof openStorage>>
let [small, large]: readonly (StoredModel | undefined)[] = []
before(async () => {
  storage = await openStorage(lanes)
  small = await storage.model(50, 2)
  large = await storage.model(largeValues, 1)
})
after(() => storage[Symbol.asyncDispose]())

type Case = AttemptOptions & { readonly name: string }
const play = async (
  model: StoredModel | undefined,
  cases: readonly Case[],
  check: (outcome: AttemptOutcome, name: string) => void,
): Promise<void> => {
  const waiting = [...cases]
  const failures: string[] = []
  const lane = async (_: unknown, index: number): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      try {
        check(await storage.attempt(index, model as StoredModel, next), next.name)
      } catch (error) {
        failures.push(`${next.name}: ${(error as Error).stack}`)
      }
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  assert.deepEqual(failures, [])
}

const undisturbed = (model: StoredModel | undefined): Promise<AttemptOutcome> =>
  storage.attempt(0, model as StoredModel, { faultOf: () => undefined })

/** The same sum and list as without faults, whole, and nothing else. */
const isSame =
  (clean: AttemptOutcome) =>
  ({ event, stored }: AttemptOutcome, name: string): void => {
    assert.deepEqual(stored, clean.stored, name)
    const parts = [event, clean.event].map(found => [found?.sum?.sha256, found?.participation.sha256, found?.weight])
    assert.deepEqual(parts[0], parts[1], name)
  }

/** Request number `at` of the attempt meets each fault, or those given, in an attempt of its own. */
const eachFault = (
  { kinds }: AttemptOutcome,
  faultOf: (at: number, fault: StorageFault) => AttemptOptions['faultOf'],
  faults: readonly StorageFault[] = allFaults,
): Case[] =>
  kinds.flatMap((kind, at) => faults.map(fault => ({ name: `${kind}: ${fault}`, faultOf: faultOf(at, fault) })))

const once = (at: number, fault: StorageFault) => (request: number) => (request === at ? fault : undefined)

test('each call to object storage in the life of an attempt fails once with each fault, and no bit differs', async context => {
  const clean = await undisturbed(small)
  assert.deepEqual(clean.kinds, [
    'GET models manifest.json',
    'GET models base.safetensors',
    'GET models graph.onnx',
    'PUT sums .safetensors',
    'PUT sums .participation.jsonl',
  ])
  assert.deepEqual(Object.values(clean.stored), [clean.event?.participation.sha256, clean.event?.sum?.sha256])
  const cases = eachFault(clean, once)
  await play(small, cases, isSame(clean))
  context.diagnostic(`${cases.length} attempts`)
})

test('each call of an upload in parts fails once with each fault, and so does what ends a failed one', async context => {
  const clean = await undisturbed(large)
  const upload = [
    'POST sums .safetensors uploads',
    'PUT sums .safetensors partNumber 1',
    'PUT sums .safetensors partNumber 2',
    'POST sums .safetensors uploadId',
  ]
  const list = 'PUT sums .participation.jsonl'
  assert.deepEqual(clean.kinds.slice(3), [...upload, list])
  const ending = 'DELETE sums .safetensors uploadId'
  const faultAt = (index: number): StorageFault => allFaults[index % allFaults.length] as StorageFault
  // In each round every call of an upload meets another fault, once; then a part is refused, and what ends the upload fails.
  const cases = [
    ...allFaults.map((_, round) => new Map(upload.map((kind, call) => [kind, faultAt(round + 3 * call)]))),
    ...allFaults.map(
      fault =>
        new Map<string, StorageFault>([
          [upload[1] as string, '412'],
          [ending, fault],
        ]),
    ),
  ]
  // One attempt for all of them: its node uploads again and again, since the list behind the sum is refused until every round was.
  let at = 0
  const faultOf = (_: number, kind: string): StorageFault | undefined => {
    const fault = cases[at]?.get(kind)
    if (fault !== undefined) {
      cases[at]?.delete(kind)
      return fault
    }
    if (kind !== list || at === cases.length) return undefined
    at += 1
    return '412'
  }
  isSame(clean)(await storage.attempt(0, large as StoredModel, { faultOf }), 'all')
  for (const left of cases) assert.equal(left.size, 0, `not met: ${[...left]}`)
  context.diagnostic(`${cases.length} rounds`)
})

test('the rest of a download that was cut fails once with each fault, and no bit differs', async () => {
  const clean = await undisturbed(small)
  const cases = allFaults.map(fault => ({
    name: `GET the rest: ${fault}`,
    faultOf: (request: number) => (request === 1 ? 'truncated' : request === 2 ? fault : undefined),
  }))
  await play(small, cases, isSame(clean))
})

test('a fault that lasts longer than a client tries is got over as well', async () => {
  const clean = await undisturbed(small)
  const lasting = (at: number, fault: StorageFault) => (request: number) =>
    request >= at && request < at + 7 ? fault : undefined
  await play(small, eachFault(clean, lasting, ['500', '409', 'cut']), isSame(clean))
})

test('storage that never gives what an attempt needs: central is told why, and nothing is written', async () => {
  const clean = await undisturbed(small)
  const ever = (at: number, fault: StorageFault) => (request: number) => (request >= at ? fault : undefined)
  const cases = eachFault({ ...clean, kinds: clean.kinds.slice(0, 3) }, ever, ['412']).map(found => ({
    ...found,
    isGivenUp: (shard: { readonly failures: readonly unknown[] }) => shard.failures.length > 0,
  }))
  await play(small, cases, ({ event, failures, stored }, name) => {
    assert.deepEqual([event, stored], [undefined, {}], name)
    assert.equal(failures[0]?.code, 'UNAVAILABLE')
    assert.notEqual(failures[0]?.detail, '')
  })
})

test('storage that never takes what an attempt brings: it is never told of, and nothing is half written', async () => {
  const clean = await undisturbed(small)
  for (const at of [3, 4]) {
    let refusals = 0
    const faultOf = (request: number) => {
      if (request < at) return undefined
      refusals += 1
      return '412' as const
    }
    const { event, stored } = await storage.attempt(0, small as StoredModel, { faultOf, isGivenUp: () => refusals > 4 })
    assert.equal(event, undefined)
    // The sum may be there, whole: nobody is told of it.
    assert.deepEqual(Object.values(stored), at === 3 ? [] : [clean.event?.sum?.sha256])
  }
})
