import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { processAlive } from '../processes/process-group.ts'
import { ThrottledError } from './invocation.ts'
import { seededRandom } from './random.ts'
import { fixtureSpec, testPool, until } from './testing.ts'

interface Slept {
  readonly pid: number
  readonly from: number
  readonly to: number
}

const payload = (event: object) => Buffer.from(JSON.stringify(event))
const stateOf = (pid: number) => /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]

test('an instance handles one invocation at a time and a function has at most its concurrency of them', async () => {
  await using fixture = await testPool()
  const slept = await Promise.all(Array.from({ length: 6 }, () => fixture.call<Slept>({ op: 'sleep', ms: 60 })))
  const byProcess = Map.groupBy(slept, ({ pid }) => pid)
  assert.equal(byProcess.size, 2)
  for (const own of byProcess.values()) {
    const inOrder = own.toSorted((a, b) => a.from - b.from)
    for (const [place, { from }] of inOrder.entries()) assert.ok(from >= (inOrder[place - 1]?.to ?? 0))
  }
  assert.deepEqual(new Set(fixture.pool.processIds()), new Set(byProcess.keys()))
})

test('invocations one after the other use one instance', async () => {
  await using fixture = await testPool()
  for (let count = 1; count <= 20; count++) {
    assert.equal((await fixture.call<{ count: number }>({ op: 'count' })).count, count)
  }
  assert.equal(fixture.pool.processIds().length, 1)
})

test('instances keep their own memory from one invocation to the next and share none', async () => {
  await using fixture = await testPool()
  const count = () => fixture.call<{ count: number; pid: number }>({ op: 'count' })
  const first = await count()
  await until(() => stateOf(first.pid) === 'T')
  assert.deepEqual(await count(), { count: 2, pid: first.pid })
  const busy = fixture.call({ op: 'sleep', ms: 2000 })
  const other = await count()
  await busy
  assert.equal(other.count, 1)
  assert.notEqual(other.pid, first.pid)
})

test('time stands still in an instance between two invocations', async () => {
  await using fixture = await testPool()
  const ticks = () => fixture.call<{ ticks: number; pid: number }>({ op: 'ticks' })
  const { pid, ticks: before } = await ticks()
  await until(() => stateOf(pid) === 'T')
  await delay(500)
  const after = await ticks()
  assert.equal(after.pid, pid)
  // Running, it would have ticked 100 times.
  assert.ok(after.ticks - before < 20, `ticked ${after.ticks - before} times`)
})

test('an invocation over its time limit is killed and answered, and the next gets a new instance', async () => {
  await using fixture = await testPool({ spec: { ...fixtureSpec, timeoutSeconds: 0.5 } })
  const { pid } = await fixture.call<{ pid: number }>({ op: 'count' })
  for (const op of ['spin', 'sleep']) {
    const result = await fixture.pool.invoke(payload({ op, ms: 5000 }), 'bounded')
    assert.equal(result.errorType, 'Sandbox.Timedout')
    assert.deepEqual(JSON.parse(result.payload.toString()), {
      errorType: 'Sandbox.Timedout',
      errorMessage: `RequestId: ${result.requestId} Error: Task timed out after 0.50 seconds`,
    })
  }
  const next = await fixture.call<{ pid: number; count: number }>({ op: 'count' })
  assert.equal(next.count, 1)
  assert.notEqual(next.pid, pid)
  assert.equal(processAlive(pid), false)
})

test('a crash and a thrown error are answers, not failures of the runner', async () => {
  await using fixture = await testPool()
  const crashed = await fixture.pool.invoke(payload({ op: 'exit' }), 'bounded')
  assert.equal(crashed.errorType, 'Runtime.ExitError')
  assert.match(crashed.payload.toString(), /Runtime exited with error: exit status 7/)
  const threw = await fixture.pool.invoke(payload({ op: 'throw' }), 'bounded')
  assert.equal(threw.errorType, 'TypeError')
  const { errorType, errorMessage } = JSON.parse(threw.payload.toString())
  assert.deepEqual({ errorType, errorMessage }, { errorType: 'TypeError', errorMessage: 'no such thing' })
  assert.equal((await fixture.call<{ count: number }>({ op: 'count' })).count, 1)
})

test('an instance that takes more memory than it has is killed', async () => {
  await using fixture = await testPool({ spec: { ...fixtureSpec, memoryMegabytes: 128 } })
  const result = await fixture.pool.invoke(payload({ op: 'allocate' }), 'bounded')
  assert.equal(result.errorType, 'Runtime.OutOfMemory')
  assert.match(result.payload.toString(), /of 128 MB/)
})

test('an answer over 6 MB is refused', async () => {
  await using fixture = await testPool()
  const result = await fixture.pool.invoke(payload({ op: 'large', bytes: 6 * 1024 * 1024 }), 'bounded')
  assert.equal(result.errorType, 'Function.ResponseSizeTooLarge')
  assert.equal((await fixture.call<string>({ op: 'large', bytes: 6e6 })).length, 6e6)
})

test('a bundle that cannot load answers each invocation with the reason', async () => {
  const trouble: string[] = []
  const onTrouble = (message: string) => trouble.push(message)
  await using broken = await testPool({ source: 'throw new RangeError("no settings")', onTrouble })
  await using nameless = await testPool({ source: 'export const main = 1' })
  for (const [fixture, expected] of [
    [broken, 'RangeError'],
    [nameless, 'Runtime.HandlerNotFound'],
    [nameless, 'Runtime.HandlerNotFound'],
  ] as const) {
    assert.equal((await fixture.pool.invoke(payload({}), 'bounded')).errorType, expected)
  }
  assert.match(trouble.join(), /fixture cannot start \(RangeError\):\n[\s\S]*no settings/)
})

test('an instance sees what its function lists and what Lambda sets, and nothing of the runner', async () => {
  await using fixture = await testPool({ environment: { DATABASE_URL: 'postgres://here', AWS_REGION: 'us-east-1' } })
  const environment = await fixture.call<Record<string, string>>({ op: 'environment' })
  assert.deepEqual(
    Object.keys(environment).toSorted(),
    [
      'AWS_DEFAULT_REGION',
      'AWS_EXECUTION_ENV',
      'AWS_LAMBDA_FUNCTION_MEMORY_SIZE',
      'AWS_LAMBDA_FUNCTION_NAME',
      'AWS_LAMBDA_FUNCTION_VERSION',
      'AWS_LAMBDA_INITIALIZATION_TYPE',
      'AWS_LAMBDA_LOG_GROUP_NAME',
      'AWS_LAMBDA_LOG_STREAM_NAME',
      'AWS_LAMBDA_RUNTIME_API',
      'AWS_REGION',
      'DATABASE_URL',
      'HOME',
      'LAMBDA_TASK_ROOT',
      'LANG',
      'PATH',
      'TMPDIR',
      'TZ',
      '_HANDLER',
    ].toSorted(),
  )
  assert.equal(environment.AWS_REGION, 'eu-central-1')
  const context = await fixture.call<Record<string, unknown>>({ op: 'context' })
  assert.equal(context.memoryLimitInMB, '256')
  assert.ok(Number(context.remaining) > 19_000 && Number(context.remaining) <= 20_000)
})

test('an idle instance is thrown away after its random life', async () => {
  const disposal = { random: seededRandom(1), meanIdleSeconds: 0.05, afterInvocation: 0 }
  await using fixture = await testPool({ disposal })
  const { pid } = await fixture.call<{ pid: number }>({ op: 'count' })
  await until(() => !processAlive(pid))
  await until(() => readdirSync(join(fixture.folder, 'instances')).length === 0)
  assert.equal((await fixture.call<{ count: number }>({ op: 'count' })).count, 1)
})

test('an instance can be thrown away after any invocation, and the next one starts anew', async () => {
  const disposal = { random: seededRandom(1), meanIdleSeconds: 3600, afterInvocation: 1 }
  await using fixture = await testPool({ disposal })
  const pids = new Set<number>()
  for (let run = 0; run < 3; run++) {
    const { count, pid } = await fixture.call<{ count: number; pid: number }>({ op: 'count' })
    assert.equal(count, 1)
    pids.add(pid)
  }
  assert.equal(pids.size, 3)
})

test('no invocation is lost to instances that are thrown away', async () => {
  const disposal = { random: seededRandom(5), meanIdleSeconds: 0.02, afterInvocation: 0.1 }
  await using fixture = await testPool({ disposal })
  const pids = new Set<number>()
  const client = async () => {
    for (let run = 0; run < 60; run++) pids.add((await fixture.call<{ pid: number }>({ op: 'count' })).pid)
  }
  await Promise.all([client(), client(), client()])
  assert.ok(pids.size > 2, `${pids.size} instances`)
})

test('invocations beyond the bound of the queue, or that wait too long, are throttled', async () => {
  await using fixture = await testPool({
    spec: { ...fixtureSpec, concurrency: 1 },
    maxWaiting: 1,
    waitSeconds: 2,
  })
  const { pid } = await fixture.call<{ pid: number }>({ op: 'count' })
  await until(() => stateOf(pid) === 'T')
  const running = fixture.call({ op: 'sleep', ms: 3500 })
  const waiting = fixture.call({ op: 'count' })
  await assert.rejects(
    fixture.call({ op: 'count' }),
    (error: Error) => error instanceof ThrottledError && /1 invocations wait already/.test(error.message),
  )
  await assert.rejects(waiting, /no instance became free in 2 s/)
  await running
})

test('what instances write goes to the log of the function, between the lines of the platform', async () => {
  await using fixture = await testPool()
  await fixture.call({ op: 'log', text: 'a line of the handler' })
  await until(() => /a line of the handler/.test(fixture.log.tail()) && /^REPORT /m.test(fixture.log.tail()))
  assert.match(fixture.log.tail(), /Memory Size: 256 MB\tMax Memory Used: \d+ MB\tInit Duration:/)
})

test('disposing a pool ends running and frozen instances', async () => {
  const fixture = await testPool()
  const { pid } = await fixture.call<{ pid: number }>({ op: 'count' })
  const running = fixture.pool.invoke(payload({ op: 'spin' }), 'bounded')
  const frozen = fixture.call<{ pid: number }>({ op: 'count' })
  const other = (await frozen).pid
  await fixture[Symbol.asyncDispose]()
  assert.equal((await running).errorType, 'Runtime.ExitError')
  for (const each of [pid, other]) assert.equal(processAlive(each), false)
})
