/**
 * How fast the API answers behind the local Lambda runner, on a real Postgres, beside a bare `select 1` route in the same run:
 *
 *   node bench/api.ts [--seconds 5] [--turns 3]
 *
 * Requests leave at fixed times whether or not earlier ones are answered, and count from when they should have left, so a stall
 * is not hidden. The bare route is a function without kernel, authentication or log that asks Postgres `select 1`. Slices of a second of
 * both alternate, turns × seconds of each, so that what the machine does besides hits both. What is judged is the p99 of all slices
 * together; beside it stand the median over the slices of the ratios of their p99, which one stall does not move, and the processor
 * time that a request takes of the runner with its instances and of Postgres, which does not depend on who else is at work.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, symlink } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { functionSpecs } from '@tributary/contracts/functions'
import { Database } from '@tributary/functions/database/database'
import { encodeCursor } from '@tributary/functions/http/cursor'
import { createLog } from '@tributary/functions/log'
import { migrate } from '@tributary/functions/migrations/migrate'
import { ensureStartModel } from '@tributary/local-stack/demo/start-model'
import { readLambdaRunnerConfig } from '@tributary/local-stack/lambda/config'
import { startLambdaRunner } from '@tributary/local-stack/lambda/runner'
import { ApiClient } from '@tributary/local-stack/platform/api-client'
import { ensureBuilds } from '@tributary/local-stack/platform/builds'
import { functionEnvironment } from '@tributary/local-stack/platform/environments'
import { aborted, endWithParent } from '@tributary/local-stack/processes/end-with-parent'
import { startBackingServices } from '@tributary/local-stack/services/start-services'
import { testContext } from '@tributary/local-stack/services/testing'
import { build } from 'esbuild'
import { watchProcessorTime } from './processor-time.ts'
import { median, percentile } from './statistics.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const devices = 100_000
const rounds = 10
const limits = { hotRead: 3, creation: 6, deepPage: 3 }
const parallelTokens = 8
const seedSeconds = 120
const sliceSeconds = 1

/** What `select 1` costs where nothing else is done. Takes the place of the health function. */
const bareRoute = `
import postgres from 'postgres'
const sql = postgres(process.env.DATABASE_URL, { max: 1, fetch_types: false })
export const handler = async () => {
  await sql\`select 1\`
  return { statusCode: 200, headers: { 'content-type': 'application/json' }, body: '1' }
}`

const serve = async (): Promise<void> => {
  const life = endWithParent()
  const specs = functionSpecs.map(spec => (spec.name === 'health' ? { ...spec, concurrency: 4 } : spec))
  await using runner = await startLambdaRunner({ ...readLambdaRunnerConfig(), specs, onTrouble: console.error })
  console.log(`port ${runner.apiPort}`)
  await aborted(life)
}

type Sql = Parameters<Parameters<Database['read']>[0]>[0]
/** Latencies in ms; processor time in seconds. */
type Slice = { readonly latencies: readonly number[]; readonly api: number; readonly postgres: number }
type Call = { readonly method: string; readonly path: string; readonly token?: string; readonly body?: unknown }
type Load = {
  readonly port: number
  readonly perSecond: number
  readonly requests: number
  readonly call: (n: number) => Call
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

const send = (port: number, { method, path, token, body }: Call): Promise<number> =>
  new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(method === 'GET' ? {} : { 'idempotency-key': randomUUID() }),
      ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    }
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent }, answer => {
      answer.resume()
      answer.once('end', () => resolve(answer.statusCode ?? 0))
      answer.once('error', reject)
    })
    sent.once('error', reject)
    sent.end(text)
  })

/** Latencies in ms, from when each request should have left. @throws Error for an answer that is no 2xx */
const load = async ({ port, perSecond, requests, call }: Load): Promise<number[]> => {
  const started = performance.now()
  const latencies: Promise<number>[] = []
  for (let n = 0; n < requests; n += 1) {
    const due = started + (n * 1000) / perSecond
    const early = due - performance.now()
    if (early > 0) await delay(early)
    const wanted = call(n)
    latencies.push(
      send(port, wanted).then(status => {
        if (status < 200 || status > 299) throw new Error(`${wanted.method} ${wanted.path} answered ${status}`)
        return performance.now() - due
      }),
    )
  }
  return Promise.all(latencies)
}

const summary = (values: readonly number[]) => ({
  median: median(values),
  p99: percentile(values, 0.99),
  most: Math.max(...values),
})
type Summary = ReturnType<typeof summary>
const show = (name: string, { median, p99, most }: Summary): void =>
  console.log(
    `${name.padEnd(58)} median ${median.toFixed(2).padStart(7)}  p99 ${p99.toFixed(2).padStart(7)}  most ${most.toFixed(1).padStart(7)} ms`,
  )

/** 100 000 devices, of which each took part in all ten rounds of one task: 1 000 000 participations. */
const seedFleet = async (sql: Sql, task: string): Promise<void> => {
  await sql`alter table device disable trigger user`
  await sql`
    insert into device (id, region, shard_hash, label, kind, groups, labels, certificate_sha256, certificate_expires_at)
    select ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(i), 12, '0'))::uuid, 'alps', sha256(i::text::bytea),
      'device-' || lpad(i::text, 6, '0'), 'trainer', '{all}', '{}', 'x', now() + interval '1 day'
    from generate_series(1, ${devices}::integer) as i`
  await sql`alter table device enable trigger user`
  await sql`
    insert into participation (task, round, attempt, device, region, label, verdict, examples, weight, bytes, seconds)
    select ${task}, round, 1, d.id, d.region, d.label, 'accepted', 600, 600, 800000, 1.5
    from generate_series(1, ${rounds}::integer) as round cross join device d`
  await sql`analyze`
}

/** As if the task had run. */
const seedRounds = async (sql: Sql, task: string, version: string): Promise<void> => {
  await sql`
    insert into round_attempt (task, round, attempt, state, base_version, goal, selected, descriptor, deadline, settled_at)
    select ${task}, round, 1, 'committed', ${version}, 1, 1, '{}', now(), now() from generate_series(1, ${rounds}::integer) as round`
  await sql`insert into region_shard (region, shard) select 'alps', shard from generate_series(0, 3) as shard`
  await sql`
    insert into attempt_shard (task, round, attempt, region, shard, epoch, state, goal, to_select, selected, accepted, weight,
      metrics)
    select ${task}, round, 1, 'alps', shard, 1, 'summed', 10, 10, 10, 10, 600,
      '{"examples": "600", "loss_q20": "31415926", "steps": "1234"}'
    from generate_series(1, ${rounds}::integer) as round, generate_series(0, 3) as shard`
  await sql`analyze`
}

const startRunner = async (env: Record<string, string>): Promise<{ port: number; child: ChildProcess }> => {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--serve'], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const [, port] = /^port (\d+)$/.exec(line) ?? []
    if (port !== undefined) return { port: Number(port), child }
  }
  throw new Error('the runner did not start')
}

const run = async ({ seconds, turns }: { seconds: number; turns: number }): Promise<void> => {
  await using stack = new AsyncDisposableStack()
  const context = stack.use(await testContext())
  await ensureBuilds(root, context.signal)
  const { ports, folders, environment, watchdog, report, signal } = context
  const services = stack.use(await startBackingServices({ ports, folders, environment, watchdog, report, signal }))
  await migrate({ databaseUrl: services.postgres.url })
  const log = createLog('silent', 'bench')
  const database = stack.use(
    new Database({ url: services.postgres.url, log, name: 'bench', statementSeconds: seedSeconds }),
  )
  await database.read(sql => sql`insert into region (region, name, shard_count) values ('alps', 'Alps', 100)`)

  const bundles = join(folders.state, 'bundles')
  for (const { name } of functionSpecs.filter(spec => spec.name !== 'health')) {
    await mkdir(bundles, { recursive: true })
    await symlink(join(root, 'functions', 'dist', name), join(bundles, name))
  }
  await build({
    stdin: { contents: bareRoute, resolveDir: join(root, 'functions') },
    outfile: join(bundles, 'health', 'index.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
  })
  // One principal may make 6000 requests a minute.
  const tokens = Array.from({ length: parallelTokens }, () => randomBytes(24).toString('base64url'))
  const apiTokens = JSON.stringify(
    tokens.map((token, index) => ({
      name: `bench ${index}`,
      role: 'operator',
      sha256: createHash('sha256').update(token).digest('hex'),
    })),
  )
  const { port, child } = await startRunner({
    PATH: '/usr/bin:/bin',
    NODE_NO_WARNINGS: '1',
    BUNDLES_DIR: bundles,
    LOG_DIR: join(folders.logs, 'functions'),
    TEMP_DIR: join(folders.state, 'lambda'),
    API_LISTEN: `127.0.0.1:${ports.api}`,
    INVOKE_LISTEN: `127.0.0.1:${ports.lambda}`,
    AWS_REGION: services.aws.region,
    AWS_ACCESS_KEY_ID: services.aws.accessKeyId,
    AWS_SECRET_ACCESS_KEY: services.aws.secretAccessKey,
    AMQP_URL: services.rabbit.url,
    // An instance that is thrown away during a measurement measures a cold start.
    DISPOSAL_AFTER_INVOCATION: '0',
    DISPOSAL_MEAN_IDLE_SECONDS: '50000',
    FUNCTION_ENVIRONMENT: JSON.stringify(
      functionEnvironment(services, { lambdaUrl: `http://127.0.0.1:${ports.lambda}`, apiTokens }),
    ),
    PREWARM: 'tasks,models,fleet,health,relay',
  })
  stack.defer(async () => {
    child.stdin?.end()
    await once(child, 'exit')
  })

  const token = (n: number): string => tokens[n % tokens.length] ?? ''
  const api = new ApiClient(`http://127.0.0.1:${port}`, token(0))
  const start = await ensureStartModel(api, '2nn', 1)
  const task = { name: 'bench', model: start, cohort: { dataset: 'mnist' }, rounds: 10 }
  const { id: hot } = await api.call('createTask', { body: { ...task, start: false } })
  await database.read(sql => seedRounds(sql, hot, start.version))

  const bare = (): Call => ({ method: 'GET', path: '/v1/health' })
  const get =
    (path: string) =>
    (n: number): Call => ({ method: 'GET', path, token: token(n) })
  const create = (n: number): Call => ({ method: 'POST', path: '/v1/tasks', token: token(n), body: task })
  const measure = async (perSecond: number, call: (n: number) => Call): Promise<Slice> => {
    const taken = await watchProcessorTime(child.pid as number)
    const latencies = await load({ port, perSecond, requests: perSecond * sliceSeconds, call })
    return { latencies, ...(await taken()) }
  }
  const compare = async (name: string, perSecond: number, call: (n: number) => Call) => {
    const slices: { readonly bare: Slice; readonly own: Slice }[] = []
    for (const warm of [bare, call]) {
      // As many at once as there may be instances: one that starts during the measurement measures a cold start.
      for (let turn = 0; turn < 5; turn += 1) await load({ port, perSecond: Infinity, requests: 16, call: warm })
      await load({ port, perSecond, requests: 2 * perSecond, call: warm })
    }
    for (let slice = 0; slice < (turns * seconds) / sliceSeconds; slice += 1) {
      // Which of the two goes first changes, so that neither always follows what the other leaves behind.
      const early = slice % 2 === 0 ? await measure(perSecond, bare) : await measure(perSecond, call)
      const late = slice % 2 === 0 ? await measure(perSecond, call) : await measure(perSecond, bare)
      slices.push(slice % 2 === 0 ? { bare: early, own: late } : { bare: late, own: early })
    }
    const all = {
      bare: slices.flatMap(({ bare }) => bare.latencies),
      own: slices.flatMap(({ own }) => own.latencies),
    }
    const [base, own] = [summary(all.bare), summary(all.own)]
    show(`select 1 at ${perSecond}/s`, base)
    show(`${name} at ${perSecond}/s`, own)
    const bySlice = (share: number): number =>
      median(slices.map(({ bare, own }) => percentile(own.latencies, share) / percentile(bare.latencies, share)))
    console.log(
      `  slices of ${sliceSeconds} s in turns: median of their p99 ratios ${bySlice(0.99).toFixed(2)} ×, of their median ratios ${bySlice(0.5).toFixed(2)} ×`,
    )
    for (const part of ['api', 'postgres'] as const) {
      const millis = (which: 'bare' | 'own'): number =>
        (1000 * slices.reduce((sum, slice) => sum + slice[which][part], 0)) / all[which].length
      const [bareMillis, ownMillis] = [millis('bare'), millis('own')]
      console.log(
        `  processor time of ${part} a request: ${ownMillis.toFixed(2)} ms, bare ${bareMillis.toFixed(2)} ms, ${(ownMillis / bareMillis).toFixed(2)} ×`,
      )
    }
    return { median: own.median / base.median, p99: own.p99 / base.p99 }
  }
  const judge = (name: string, factor: number, most: number): void => {
    const met = factor <= most
    console.log(`${met ? 'met ' : 'MISSED'} ${name}: ${factor.toFixed(2)} × (at most ${most} ×)`)
    if (!met) process.exitCode = 1
  }

  const read = await compare('GET /v1/tasks/{id}', 300, get(`/v1/tasks/${hot}`))
  judge('hot read, p99', read.p99, limits.hotRead)
  const creation = await compare('POST /v1/tasks', 50, create)
  judge('creation, p99', creation.p99, limits.creation)

  await database.read(sql => seedFleet(sql, hot))
  await compare('POST /v1/tasks, 100 000 devices', 50, create)

  const deepDevice = [
    `device-${String(devices - 200).padStart(6, '0')}`,
    `01890a5d-ac96-774b-bcce-${(devices - 200).toString(16).padStart(12, '0')}`,
  ]
  const deepPart = [rounds, 1, `01890a5d-ac96-774b-bcce-${(devices - 200).toString(16).padStart(12, '0')}`]
  for (const [name, path, position] of [
    ['100 000 devices', '/v1/devices', deepDevice],
    ['1 000 000 participations', `/v1/tasks/${hot}/participants`, deepPart],
  ] as const) {
    const pages: Summary[] = []
    for (const [where, query] of [
      ['first', ''],
      ['deep', `&cursor=${encodeCursor(position)}`],
    ] as const) {
      const call = get(`${path}?limit=50${query}`)
      await load({ port, perSecond: 20, requests: 20, call })
      const found = summary(await load({ port, perSecond: 40, requests: 40 * seconds, call }))
      show(`${name}, ${where} page`, found)
      pages.push(found)
    }
    judge(
      `deep page of ${name}, median`,
      (pages[1]?.median ?? Number.NaN) / (pages[0]?.median ?? Number.NaN),
      limits.deepPage,
    )
  }
}

const { values } = parseArgs({
  options: {
    serve: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '5' },
    turns: { type: 'string', default: '3' },
  },
  strict: true,
})
if (values.serve) await serve()
else {
  await run({ seconds: Number(values.seconds), turns: Number(values.turns) })
  agent.destroy()
}
