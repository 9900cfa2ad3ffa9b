import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { SeededRandom } from '@tributary/learning/seeded/random'
import { deriveSeed } from '@tributary/learning/seeded/seed'
import type { ObjectStore } from '../adapters/object-store.ts'
import { checkInvariants } from '../testing/check-invariants.ts'
import { exampleSum, exampleWeights } from '../testing/example-model.ts'
import { closeRound, enlarge, largeOptimizer, largeSum, largeWeights } from '../testing/large-model.ts'
import { RoundFederation } from '../testing/round-federation.ts'
import { type StoppableDatabase, startStoppableDatabase } from '../testing/stoppable-database.ts'
import { startTestStore } from '../testing/test-store.ts'

/** Longer forms: MERGE_CRASHES=500 node --test … */
const stops = Number(process.env.MERGE_CRASHES ?? 50)
/** So many of them, and of the kills, cut merges of several parts; the others merges of one request a file. */
const largeStops = Math.ceil(stops / 8)
const kills = Math.ceil(stops / 10)
const random = new SeededRandom(deriveSeed('merge crashes', 1))
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

type Case = {
  readonly large: boolean
  readonly sum: () => Uint8Array
  /** sha256 of the version of a round. */
  readonly expected: (rounds: number) => string
  /** About as long as a merge takes. */
  readonly mergeMillis: number
}

/** Momentum 0.5, as of the large model. */
const smallWeights = (rounds: number): Uint8Array => {
  const w = [1, 2, 3].map((start, i) => {
    let [x, velocity] = [start, 0]
    for (let round = 0; round < rounds; round += 1) {
      velocity = 0.5 * velocity + (i - 1) / 4
      x = Math.fround(x + velocity)
    }
    return x
  })
  return exampleWeights(w, 7n)
}
const small: Case = {
  large: false,
  sum: () => exampleSum([-25, 0, 25], 7n),
  expected: rounds => sha256(smallWeights(rounds)),
  mergeMillis: 80,
}
const large: Case = { large: true, sum: largeSum, expected: rounds => sha256(largeWeights(rounds)), mergeMillis: 500 }

suite('a merge that is cut at any instant', { timeout: 15 * 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: StoppableDatabase
  let store: ObjectStore
  before(async () => {
    db = resources.use(await startStoppableDatabase())
    store = resources.use(await startTestStore()).store
  })
  after(() => resources.disposeAsync())

  const begin = async (rounds: number, { large }: Case) => {
    const unstoppable = { ...db, serverPid: 0, createEmpty: () => Promise.reject(new Error('not here')) }
    const federation = await RoundFederation.begin(unstoppable, store, { north: { trainers: 2 } })
    if (large) await enlarge(federation)
    await federation.comeUp()
    const task = await federation.createTask({ rounds, attempts: 1, serverOptimizer: largeOptimizer })
    return { federation, task: task.id }
  }

  /** What due work does with a merge that fell silent, without the wait for it. */
  const settle = async (federation: RoundFederation, ref: { task: string; round: number; attempt: number }) => {
    for (let runs = 0; runs < 10; runs += 1) {
      const outcome = await federation.merge(ref).catch(() => 'failed')
      if (outcome === 'committed' || outcome === 'nothing') return
    }
    assert.fail(`round ${ref.round} does not settle`)
  }

  const checkLine = async (task: string, rounds: number, { expected: expectedOf }: Case) => {
    const versions = await db.sql<{ sha256: string; state: string; stateSha256: string }[]>`
      select weights_sha256 as sha256, optimizer_state_key as state, optimizer_state_sha256 as "stateSha256"
      from model_version where task = ${task} order by round`
    const expected = Array.from({ length: rounds }, (_, index) => expectedOf(index + 1))
    assert.deepEqual(
      versions.map(version => version.sha256),
      expected,
    )
    for (const { state, stateSha256 } of versions) {
      assert.equal(sha256(await store.readAll(state, 20_000_000)), stateSha256)
    }
    await checkInvariants(db.sql)
  }

  for (const [what, count, kind] of [
    ['of one request a file', stops - largeStops, small],
    ['of several parts', largeStops, large],
  ] as const) {
    test(`Postgres stopped at once during a merge ${what}, ${count} times: no invariant breaks, no bit differs`, async t => {
      const { federation, task } = await begin(count, kind)
      let cut = 0
      for (let round = 1; round <= count; round += 1) {
        const ref = await closeRound(federation, kind.sum())
        assert.equal(ref.round, round)
        await using instances = federation.ownConnections(1)
        let over = false
        const merging = federation
          .merge(ref, instances.contexts[0])
          .catch(() => 'failed')
          .finally(() => {
            over = true
          })
        await delay(random.unit() * kind.mergeMillis)
        if (!over) cut += 1
        await db.restartAtOnce()
        await merging
        await settle(federation, ref)
        if (round % 10 === 0) await checkInvariants(db.sql)
      }
      t.diagnostic(`${cut} of ${count} stops came before the merge had ended`)
      assert.ok(cut > count / 4, `${cut} stops came before the merge had ended`)
      await checkLine(task, count, kind)
    })
  }

  test(`the process of a merge killed ${kills} times: the next run makes the same version`, async t => {
    const { federation, task } = await begin(kills, large)
    let cut = 0
    for (let round = 1; round <= kills; round += 1) {
      const ref = await closeRound(federation, large.sum())
      if (await killedDuringMerge(db.url, ref, random.unit() * large.mergeMillis)) cut += 1
      await settle(federation, ref)
    }
    t.diagnostic(`${cut} of ${kills} kills came before the merge had ended`)
    assert.ok(cut > 0)
    await checkLine(task, kills, large)
  })
})

const program = `
const { handler } = await import(process.argv[1])
process.stdout.write('ready')
await handler(JSON.parse(process.argv[2]), { awsRequestId: 'test', getRemainingTimeInMillis: () => 60_000 })
process.stdout.write('done')
process.exitCode = 0`

/** The function as it is deployed, in a process of its own that is killed so long after it began. @returns whether it was cut */
const killedDuringMerge = async (url: string, ref: object, afterMillis: number): Promise<boolean> => {
  const lambda = new URL('./merge.lambda.ts', import.meta.url).href
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, lambda, JSON.stringify(ref)], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      ...process.env,
      DATABASE_URL: url,
      BUCKET: 'test',
      OBJECT_STORAGE_PATH_STYLE: 'true',
      UPSTASH_REDIS_REST_URL: 'http://127.0.0.1:9',
      UPSTASH_REDIS_REST_TOKEN: 'none',
      AWS_ENDPOINT_URL_LAMBDA: 'http://127.0.0.1:9',
      RELAY_FUNCTION: 'relay',
      MERGE_FUNCTION: 'merge',
      VERSION_JOBS_FUNCTION: 'version-jobs',
      LOG_LEVEL: 'silent',
    },
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const closed = once(child, 'close')
  await Promise.race([once(child.stdout, 'data'), closed])
  assert.match(output, /ready/, 'the function could not start')
  await Promise.race([delay(afterMillis), closed])
  child.kill('SIGKILL')
  await closed
  return !output.includes('done')
}
