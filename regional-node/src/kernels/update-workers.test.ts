import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createDecipheriv, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { checkUpdate } from '@tributary/learning/update/check-update'
import { readUpdateHeader } from '@tributary/learning/update/update-body'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import fc from 'fast-check'
import type { Seal, SpooledBody } from './spooled-body.ts'
import {
  manifest,
  rule,
  SampleSpool,
  sampleBody,
  sha256Of,
  smallManifest,
  sumFileOf,
} from './testing/sample-updates.ts'
import { UpdateWorkers } from './update-workers.ts'

const bodies = [1, 2, 3, 4].map(seed => sampleBody(seed))
const body = bodies[0] as Uint8Array
const weights = [3, 1000, 1, 77]
const weighted = bodies.map((bytes, i) => ({ body: bytes, weight: weights[i] as number }))

const newSeal = (): Seal => ({ key: randomBytes(32), iv: randomBytes(16) })
const unseal = (sealed: Uint8Array, { key, iv }: Seal): Buffer =>
  createDecipheriv('aes-256-ctr', key, iv).update(sealed)

/** A body in which one element of a tensor is another one. */
const spoil = (
  bytes: Uint8Array,
  tensor: string,
  element: number,
  bits: readonly number[],
  of = manifest,
): Uint8Array => {
  const part = readUpdateHeader(bytes, bytes.byteLength, of).find(({ tensor: { name } }) => name === tensor)
  const copy = Uint8Array.from(bytes)
  copy.set(bits, (part?.placed.offset ?? Number.NaN) + element * bits.length)
  return copy
}

const nan32 = [0, 0, 0xc0, 0x7f]

test('a good body passes, with the norm that plain TypeScript finds', async () => {
  await using workers = UpdateWorkers.open({ threads: 2 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const seal = newSeal()
  for (const place of [await spool.plain('plain', body), await spool.sealed('sealed', body, 64, seal)]) {
    for (const sha256 of [sha256Of(body), null]) {
      const verdict = await round.check(place, { sha256 })
      assert.ok(verdict.ok)
      const { norm } = checkUpdate(body, manifest, rule)
      assert.ok(Math.abs(verdict.norm - norm) <= 1e-12 * norm)
    }
  }
})

test('what is wrong is told in the order length, sha256, header, values, norm', async () => {
  await using workers = UpdateWorkers.open({ threads: 1 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const bad = spoil(spoil(body, 'large', 170_002, nan32), 'top', 70_000, nan32)
  const place = await spool.plain('bad', bad)
  const codeOf = async (at: SpooledBody, sha256: string | null) => {
    const verdict = await round.check(at, { sha256 })
    return verdict.ok ? 'ok' : `${verdict.code} ${verdict.tensor}`
  }
  assert.equal(await codeOf({ ...place, bytes: place.bytes + 1 }, sha256Of(body)), 'LENGTH_MISMATCH null')
  assert.equal(await codeOf(place, sha256Of(body)), 'CHECKSUM_MISMATCH null')
  assert.equal(await codeOf(place, sha256Of(bad)), 'NOT_FINITE large')
  assert.equal(await codeOf(await spool.plain('top', spoil(body, 'top', 70_000, nan32)), null), 'NOT_FINITE top')
  const stranger = encodeSafetensors([{ name: 'delta/stranger', dtype: 'U8', shape: [1], bytes: new Uint8Array(1) }])
  const strange = await spool.plain('stranger', stranger)
  assert.equal(await codeOf(strange, sha256Of(body)), 'CHECKSUM_MISMATCH null')
  assert.equal(await codeOf(strange, sha256Of(stranger)), 'TENSOR_MISSING large')
  assert.equal(await codeOf(await spool.plain('empty', new Uint8Array(0)), null), 'BODY_MALFORMED null')
  assert.equal(await codeOf(await spool.plain('short', body.subarray(0, 5)), null), 'BODY_MALFORMED null')
  assert.equal(await codeOf(await spool.plain('noise', randomBytes(100_000)), null), 'BODY_MALFORMED null')
  assert.equal(await codeOf(await spool.plain('bool', spoil(body, 'seen', 6, [2])), null), 'OUT_OF_RANGE seen')
  using strict = workers.round(manifest, { ...rule, clippingNorm: 1 })
  const clipped = await strict.check(await spool.plain('norm', body), { sha256: null })
  assert.equal(clipped.ok ? 'ok' : clipped.code, 'NORM_EXCEEDED')
})

for (const [which, of] of [
  ['large', manifest],
  ['small', smallManifest],
] as const) {
  test(`the verdict on any damage to header or values of a ${which} body is that of plain TypeScript`, async () => {
    await using workers = UpdateWorkers.open({ threads: 2 })
    await using spool = await SampleSpool.make()
    using round = workers.round(of, rule)
    const good = sampleBody(1, of)
    let files = 0
    const damage = fc.record({ at: fc.integer({ min: 0, max: 1500 }), byte: fc.integer({ min: 0, max: 255 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async damages => {
        const bytes = Uint8Array.from(good)
        for (const { at, byte } of damages) bytes[at] = byte
        files += 1
        const verdict = await round.check(await spool.plain(`damaged-${files}`, bytes), { sha256: sha256Of(bytes) })
        let expected: unknown = 'ok'
        try {
          checkUpdate(bytes, of, rule)
        } catch (error) {
          const { code, tensor, message } = error as { code: string; tensor: string | null; message: string }
          expected = { ok: false, code, tensor, detail: message }
        }
        assert.deepEqual(verdict.ok ? 'ok' : verdict, expected)
      }),
      { numRuns: 60 },
    )
  })
}

test('small bodies of one file that are checked and added together have each its own verdict, and the sum of the good ones', async () => {
  await using workers = UpdateWorkers.open({ threads: 1 })
  await using spool = await SampleSpool.make()
  using round = workers.round(smallManifest, rule)
  const good = [1, 2, 3, 4, 5].map(seed => sampleBody(seed, smallManifest))
  const [first, second, third, fourth, fifth] = good as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  // As long as a header that is known, and another one.
  const renamed = Uint8Array.from(second, (byte, at) =>
    at < 300 && byte === 'l'.charCodeAt(0) ? 'm'.charCodeAt(0) : byte,
  )
  const content = [first, spoil(second, 'large', 1002, nan32, smallManifest), third, renamed, fourth, fifth]
  const places = await spool.together('bodies', content, newSeal())
  const last = places[5] as SpooledBody
  const asked = [
    ...places.slice(0, 4).map((place, i) => round.check(place, { sha256: sha256Of(content[i] as Uint8Array) })),
    round.check(places[4] as SpooledBody, { sha256: sha256Of(first) }),
    round.check({ ...last, path: spool.path('gone') }, { sha256: null }),
    round.check({ ...last, bytes: last.bytes + 1 }, { sha256: null }),
    round.check(last, { sha256: sha256Of(fifth) }),
  ]
  const verdicts = (await Promise.allSettled(asked)).map(result => {
    if (result.status === 'rejected') return result.reason.code
    return result.value.ok ? 'ok' : `${result.value.code} ${result.value.tensor}`
  })
  assert.deepEqual(verdicts, [
    'ok',
    'NOT_FINITE large',
    'ok',
    'TENSOR_MISSING large',
    'CHECKSUM_MISMATCH null',
    'FILE_FAILED',
    'LENGTH_MISMATCH null',
    'ok',
  ])
  using sum = await round.openSum()
  await Promise.all([0, 2, 4, 5].map(i => sum.add(places[i] as SpooledBody, 10 + i)))
  const expected = [first, third, fourth, fifth].map((bytes, i) => ({
    body: bytes,
    weight: [10, 12, 14, 15][i] as number,
  }))
  assert.equal((await sum.write(spool.path('sum'))).sha256, sha256Of(sumFileOf(expected, smallManifest)))
})

test('a sum in memory has the bytes of plain TypeScript, whatever order updates come in', async () => {
  await using workers = UpdateWorkers.open({ threads: 2 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const expected = sumFileOf(weighted)
  const places = await Promise.all(bodies.map((bytes, i) => spool.sealed(`${i}`, bytes, 64, newSeal())))
  for (const order of [
    [0, 1, 2, 3],
    [2, 0, 3, 1],
  ]) {
    using sum = await round.openSum()
    await Promise.all(order.map(i => sum.add(places[i] as SpooledBody, weights[i] as number)))
    assert.deepEqual(sum.totals, { updates: 4, weight: 1081n })
    const seal = newSeal()
    const stored = await sum.write(spool.path('sum'), seal)
    assert.deepEqual(stored, { sha256: sha256Of(expected), bytes: expected.byteLength, totals: sum.totals })
    assert.ok(unseal(await readFile(spool.path('sum')), seal).equals(expected))
  }
})

test('memory that another sum has used is empty in the next one', async () => {
  await using workers = UpdateWorkers.open({ threads: 1 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const place = await spool.plain('body', body)
  const empty = sha256Of(sumFileOf([]))
  for (let i = 0; i < 3; i += 1) {
    using sum = await round.openSum()
    assert.equal((await sum.write(spool.path('sum'))).sha256, empty)
    await sum.add(place, 5)
  }
})

test('a sum is written with the updates before it and without those after it, and goes on where it was restored', async () => {
  await using workers = UpdateWorkers.open({ threads: 2 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const places = await Promise.all(bodies.map((bytes, i) => spool.plain(`${i}`, bytes)))
  const seal = newSeal()
  using first = await round.openSum()
  const adding = [0, 1].map(i => first.add(places[i] as SpooledBody, weights[i] as number))
  const written = first.write(spool.path('half'), seal)
  adding.push(first.add(places[2] as SpooledBody, 9))
  const { totals, sha256 } = await written
  await Promise.all(adding)
  assert.deepEqual(totals, { updates: 2, weight: 1003n })
  assert.equal(sha256, sha256Of(sumFileOf(weighted.slice(0, 2))))
  using second = await round.openSum()
  await second.restore({ path: spool.path('half'), totals, seal, sha256 })
  await Promise.all([2, 3].map(i => second.add(places[i] as SpooledBody, weights[i] as number)))
  const whole = await second.write(spool.path('whole'))
  assert.deepEqual(whole.totals, { updates: 4, weight: 1081n })
  assert.equal(whole.sha256, sha256Of(sumFileOf(weighted)))
  await assert.rejects(second.restore({ path: spool.path('half'), totals, seal }), RangeError)
})

test('a file of another manifest is not restored', async () => {
  await using workers = UpdateWorkers.open({ threads: 1 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  using sum = await round.openSum()
  await writeFile(spool.path('other'), body)
  const totals = { updates: 1, weight: 1n }
  await assert.rejects(sum.restore({ path: spool.path('other'), totals }), { code: 'FILE_FAILED' })
  await assert.rejects(sum.write(spool.path('sum')), { code: 'SUM_SPOILT' })
})

test('a sum file that changed since is not restored', async () => {
  await using workers = UpdateWorkers.open({ threads: 1 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  using written = await round.openSum()
  const path = spool.path('sum')
  const { totals, sha256 } = await written.write(path)
  const bytes = await readFile(path)
  bytes[bytes.byteLength - 1] = (bytes.at(-1) as number) ^ 1
  await writeFile(path, bytes)
  using sum = await round.openSum()
  await assert.rejects(sum.restore({ path, totals, sha256 }), { code: 'FILE_FAILED' })
  await assert.rejects(sum.write(spool.path('other')), { code: 'SUM_SPOILT' })
})

test('sums of files, in one step or from file to file, have the bytes of plain TypeScript', async () => {
  await using workers = UpdateWorkers.open({ threads: 2 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const places = await Promise.all(bodies.map((bytes, i) => spool.sealed(`${i}`, bytes, 64, newSeal())))
  const updates = places.map((place, i) => ({ body: place, weight: weights[i] as number }))
  const expected = sumFileOf(weighted)
  const once = await round.sumFiles({ from: null, to: spool.path('once'), updates })
  assert.ok((await readFile(spool.path('once'))).equals(expected))
  const [early, late] = [newSeal(), newSeal()]
  const first = { path: spool.path('first'), seal: early }
  const { totals } = await round.sumFiles({ from: null, to: first.path, toSeal: early, updates: updates.slice(0, 1) })
  const before = await readFile(first.path)
  const rest = { from: { ...first, totals }, to: spool.path('second'), toSeal: late, updates: updates.slice(1) }
  assert.deepEqual(await round.sumFiles(rest), once)
  assert.ok(unseal(await readFile(spool.path('second')), late).equals(expected))
  assert.ok((await readFile(first.path)).equals(before))
  assert.deepEqual(once.totals, { updates: 4, weight: 1081n })
})

test('more updates or weight than the exponent allows for are refused, and nothing is added', async () => {
  await using workers = UpdateWorkers.open({ threads: 1 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, { ...rule, maxUpdates: 1 })
  const place = await spool.plain('body', body)
  using sum = await round.openSum()
  for (const weight of [0, 1001, 1.5]) await assert.rejects(sum.add(place, weight), { code: 'SUM_WOULD_OVERFLOW' })
  const both = await Promise.allSettled([sum.add(place, 1), sum.add(place, 1)])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  assert.deepEqual(sum.totals, { updates: 1, weight: 1n })
  const updates = [1, 1].map(weight => ({ body: place, weight }))
  await assert.rejects(round.sumFiles({ from: null, to: spool.path('sum'), updates }), { code: 'SUM_WOULD_OVERFLOW' })
})

test('a body that is gone fails the addition, and the sum is as it was', async () => {
  await using workers = UpdateWorkers.open({ threads: 1 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  using sum = await round.openSum()
  const gone = { path: spool.path('gone'), offset: 0, bytes: 100 }
  await assert.rejects(sum.add(gone, 1), { code: 'FILE_FAILED', systemCode: 'ENOENT' })
  await assert.rejects(round.check(gone, { sha256: null }), { code: 'FILE_FAILED' })
  assert.equal(sum.spoilt, false)
  await sum.add(await spool.plain('body', body), 3)
  assert.deepEqual(sum.totals, { updates: 1, weight: 3n })
  assert.equal((await sum.write(spool.path('sum'))).sha256, sha256Of(sumFileOf([{ body, weight: 3 }])))
})

test('a body that is gone costs none of those that wait with it, and a file that is written meanwhile has those before it', async () => {
  await using workers = UpdateWorkers.open({ threads: 2 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  using sum = await round.openSum()
  const place = await spool.plain('body', body)
  const gone = { path: spool.path('gone'), offset: 0, bytes: 100 }
  const [results, written] = await Promise.all([
    Promise.allSettled([sum.add(place, 1), sum.add(gone, 2), sum.add(place, 3), sum.add(gone, 4), sum.add(place, 5)]),
    sum.write(spool.path('sum')),
    sum.add(place, 6),
  ])
  assert.deepEqual(
    results.map(result => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
    ['ok', 'FILE_FAILED', 'ok', 'FILE_FAILED', 'ok'],
  )
  assert.deepEqual(written.totals, { updates: 3, weight: 9n })
  assert.equal(written.sha256, sha256Of(sumFileOf([1, 3, 5].map(weight => ({ body, weight })))))
  assert.deepEqual(sum.totals, { updates: 4, weight: 15n })
  assert.equal(
    (await sum.write(spool.path('sum'))).sha256,
    sha256Of(sumFileOf([1, 3, 5, 6].map(weight => ({ body, weight })))),
  )
})

test('a body that ends half-way spoils the sum, and whatever waits for it is told so', async () => {
  await using workers = UpdateWorkers.open({ threads: 1 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  using sum = await round.openSum()
  const place = await spool.plain('body', body)
  const cut = await spool.plain('cut', body)
  await truncate(cut.path, body.byteLength - 100_000)
  const results = await Promise.allSettled([
    sum.add(place, 2),
    sum.add(cut, 1),
    sum.add(place, 2),
    sum.write(spool.path('sum')),
  ])
  assert.deepEqual(
    results.map(result => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
    ['ok', 'FILE_FAILED', 'SUM_SPOILT', 'SUM_SPOILT'],
  )
  assert.deepEqual(sum.totals, { updates: 1, weight: 2n })
  await assert.rejects(sum.add(place, 2), { code: 'SUM_SPOILT' })
})

const mortal = new URL('./testing/mortal-update-worker.ts', import.meta.url)

test('an addition whose thread dies at any slice goes on in another one, counted once', async () => {
  await using workers = UpdateWorkers.open({ threads: 2, url: mortal })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const places = await Promise.all(bodies.map((bytes, i) => spool.plain(`${i}`, bytes)))
  const expected = sha256Of(sumFileOf(weighted))
  for (const orders of [['0 1'], ['0 2', '300000 1'], ['700000 2', '1200000 1', '1300000 2', '0 1']]) {
    using sum = await round.openSum()
    for (const [i, order] of orders.entries()) await writeFile(`${spool.path(`${i}`)}.kill`, order)
    await Promise.all(places.map((place, i) => sum.add(place, weights[i] as number)))
    assert.deepEqual(sum.totals, { updates: 4, weight: 1081n })
    assert.equal((await sum.write(spool.path('sum'))).sha256, expected)
    for (const [i] of orders.entries()) assert.match(await readFile(`${spool.path(`${i}`)}.kill`, 'utf8'), / 0$/)
  }
})

test('checks and sums of files survive the loss of threads', async () => {
  await using workers = UpdateWorkers.open({ threads: 2, url: mortal })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const place = await spool.plain('body', body)
  await writeFile(`${place.path}.kill`, '900000 2')
  assert.equal((await round.check(place, { sha256: sha256Of(body) })).ok, true)
  await writeFile(`${place.path}.kill`, '600000 2')
  const { sha256 } = await round.sumFiles({ from: null, to: spool.path('sum'), updates: [{ body: place, weight: 7 }] })
  assert.equal(sha256, sha256Of(sumFileOf([{ body, weight: 7 }])))
})

test('a job that loses three threads fails, others go on, and a sum that it had begun on is spoilt', async () => {
  await using workers = UpdateWorkers.open({ threads: 1, url: mortal })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const place = await spool.plain('body', body)
  const other = await spool.plain('other', body)
  await writeFile(`${place.path}.kill`, '0 3')
  const results = await Promise.allSettled([
    round.check(place, { sha256: null }),
    round.check(other, { sha256: null }).then(({ ok }) => assert.ok(ok)),
  ])
  assert.deepEqual(
    results.map(result => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
    ['WORKER_LOST', 'ok'],
  )
  using sum = await round.openSum()
  await writeFile(`${place.path}.kill`, '0 3')
  await assert.rejects(sum.add(place, 1), { code: 'WORKER_LOST' })
  assert.equal(sum.spoilt, false)
  await writeFile(`${place.path}.kill`, '1000000 3')
  await assert.rejects(sum.add(place, 1), { code: 'WORKER_LOST' })
  assert.equal(sum.spoilt, true)
})

test('an addition whose thread dies in the middle of a slice is not gone on with: nobody knows what of it is in the sum', async () => {
  await using workers = UpdateWorkers.open({ threads: 1, url: mortal })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const place = await spool.plain('body', body)
  const torn = await spool.plain('torn', body)
  await writeFile(`${torn.path}.tear`, '')
  using sum = await round.openSum()
  const results = await Promise.allSettled([sum.add(place, 1), sum.add(torn, 1), sum.add(place, 1)])
  assert.deepEqual(
    results.map(result => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
    ['ok', 'WORKER_LOST', 'SUM_SPOILT'],
  )
  assert.deepEqual(sum.totals, { updates: 1, weight: 1n })
})

/** A file whose readers hang until it is disposed. */
const makePipe = async (path: string): Promise<AsyncDisposable & { path: string }> => {
  await promisify(execFile)('mkfifo', [path])
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      // Whoever opens a pipe to read waits for a writer.
      const writer = createWriteStream(path)
      await once(writer, 'open')
      writer.destroy()
    },
  }
}

test('a thread that hangs in a read is given up at the deadline and replaced', async () => {
  await using spool = await SampleSpool.make()
  await using pipe = await makePipe(spool.path('pipe'))
  await using otherPipe = await makePipe(spool.path('other-pipe'))
  await using workers = UpdateWorkers.open({ threads: 1, stallMillis: 1000 })
  using round = workers.round(manifest, rule)
  using sum = await round.openSum()
  const results = await Promise.allSettled([
    sum.add({ path: pipe.path, offset: 0, bytes: 1000 }, 1),
    sum.add(await spool.plain('body', body), 1),
    round.check(await spool.plain('body', body), { sha256: null }),
    round.check({ path: otherPipe.path, offset: 0, bytes: 1000 }, { sha256: null }),
    round.check(await spool.plain('body', body), { sha256: null }),
  ])
  assert.deepEqual(
    results.map(result => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
    ['DEADLINE', 'SUM_SPOILT', 'ok', 'DEADLINE', 'ok'],
  )
})

test('jobs beyond the bound of the queue are refused', async () => {
  await using workers = UpdateWorkers.open({ threads: 1, mostQueued: 2 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const place = await spool.plain('body', body)
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => round.check(place, { sha256: null })))
  assert.deepEqual(
    results.map(result => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
    ['ok', 'ok', 'ok', 'QUEUE_FULL', 'QUEUE_FULL'],
  )
})

test('an aborted check ends with the reason, whether it waits or runs', async () => {
  await using workers = UpdateWorkers.open({ threads: 1 })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const place = await spool.plain('body', body)
  const controllers = [new AbortController(), new AbortController()]
  const checks = controllers.map(({ signal }) => round.check(place, { sha256: null, signal }))
  const last = round.check(place, { sha256: null })
  const refused = checks.map(check => assert.rejects(check, { message: 'the device hung up' }))
  for (const controller of controllers) controller.abort(new Error('the device hung up'))
  await Promise.all(refused)
  assert.equal((await last).ok, true)
  await assert.rejects(round.check(place, { sha256: null, signal: AbortSignal.abort(new Error('before')) }), {
    message: 'before',
  })
})

test('closing a round, a sum or the workers ends what waits', async () => {
  const controller = new AbortController()
  await using workers = UpdateWorkers.open({ threads: 1, signal: controller.signal })
  await using spool = await SampleSpool.make()
  const place = await spool.plain('body', body)
  const round = workers.round(manifest, rule)
  const sum = await round.openSum()
  const adds = [sum.add(place, 1), sum.add(place, 1)].map(add => assert.rejects(add, { code: 'CLOSED' }))
  sum[Symbol.dispose]()
  await Promise.all(adds)
  await assert.rejects(sum.add(place, 1), { code: 'CLOSED' })
  const other = await round.openSum()
  const jobs = [other.add(place, 1), round.check(place, { sha256: null })]
  const ended = jobs.map(job => assert.rejects(job as Promise<unknown>, { code: 'CLOSED' }))
  round[Symbol.dispose]()
  await Promise.all(ended)
  using next = workers.round(manifest, rule)
  const closed = [1, 2, 3].map(() => assert.rejects(next.check(place, { sha256: null }), { code: 'CLOSED' }))
  controller.abort()
  await Promise.all(closed)
  await assert.rejects(next.check(place, { sha256: null }), { code: 'CLOSED' })
})

test('threads that cannot start fail what waits for them', async () => {
  await using workers = UpdateWorkers.open({ threads: 1, url: new URL('./no-such-worker.ts', import.meta.url) })
  await using spool = await SampleSpool.make()
  using round = workers.round(manifest, rule)
  const place = await spool.plain('body', body)
  await assert.rejects(round.check(place, { sha256: null }), { code: 'WORKER_LOST' })
})
