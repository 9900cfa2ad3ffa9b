import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FunctionSpec } from '@tributary/contracts/functions'
import { build } from 'esbuild'
import { startWatchdog } from '../processes/watchdog.ts'
import { FunctionLog } from './function-log.ts'
import { FunctionPool, type PoolOptions } from './function-pool.ts'
import { seededRandom } from './random.ts'
import { startRuntimeApi } from './runtime-api.ts'

/** A function that does what its event says, so that one bundle shows every way an invocation can go. */
const fixture = `
import { appendFileSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
let count = 0
let ticks = 0
setInterval(() => ticks++, 5)
const kept = []
export const handler = async (event, context) => {
  const from = Date.now()
  switch (event.op) {
    case 'count': return { count: ++count, pid: process.pid }
    case 'ticks': return { ticks, pid: process.pid }
    case 'sleep': await delay(event.ms); return { pid: process.pid, from, to: Date.now() }
    case 'exit': process.exit(7)
    case 'throw': throw new TypeError('no such thing')
    case 'spin': for (;;) {}
    case 'allocate': for (;;) { kept.push(Buffer.alloc(8e6, 1)); await delay(5) }
    case 'environment': return process.env
    case 'context': return { ...context, remaining: context.getRemainingTimeInMillis() }
    case 'large': return 'x'.repeat(event.bytes)
    case 'log': console.log(event.text); return null
    case 'fail-until': {
      appendFileSync(event.file, context.awsRequestId + '\\n')
      const attempts = readFileSync(event.file, 'utf8').trim().split('\\n').length
      if (attempts < event.attempts) throw new Error('attempt ' + attempts)
      return attempts
    }
    default: return event
  }
}
`

/** Bundles `source` as the product's functions are bundled, to `<folder>/<name>/index.mjs`. */
export async function bundle(folder: string, name: string, source: string = fixture): Promise<void> {
  await build({
    stdin: { contents: source, loader: 'ts', resolveDir: folder },
    outfile: join(folder, name, 'index.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
  })
}

export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'tributary-lambda-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export const fixtureSpec: FunctionSpec = {
  name: 'fixture',
  entry: '',
  memoryMegabytes: 256,
  timeoutSeconds: 20,
  concurrency: 2,
  trigger: { kind: 'invoke' },
}

export interface TestPool extends AsyncDisposable {
  readonly pool: FunctionPool
  readonly folder: string
  readonly log: FunctionLog
  /** Invokes and returns the parsed answer; throws when the function failed. */
  call<Answer>(event: object): Promise<Answer>
}

/** A pool of the fixture; instances live until the end unless the options say otherwise. */
export async function testPool(changes: Partial<PoolOptions> & { readonly source?: string } = {}): Promise<TestPool> {
  const stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder()).path
  const watchdog = stack.use(await startWatchdog())
  const runtimeApi = stack.use(await startRuntimeApi())
  const spec = changes.spec ?? fixtureSpec
  await bundle(folder, spec.name, changes.source)
  const log = stack.adopt(new FunctionLog(join(folder, 'function.log')), log => log.close())
  const pool = stack.use(
    new FunctionPool({
      taskRoot: join(folder, spec.name),
      environment: {},
      region: 'eu-central-1',
      instancesFolder: join(folder, 'instances'),
      initSeconds: 20,
      maxWaiting: 100,
      onTrouble: () => undefined,
      waitSeconds: 20,
      disposal: { random: seededRandom(1), meanIdleSeconds: 3600, afterInvocation: 0 },
      ...changes,
      spec,
      runtimeApi,
      watchdog,
      log,
    }),
  )
  return {
    pool,
    folder,
    log,
    async call<Answer>(event: object) {
      const result = await pool.invoke(Buffer.from(JSON.stringify(event)), 'bounded')
      if (result.errorType !== undefined) throw new Error(`${result.errorType}: ${result.payload}`)
      return JSON.parse(result.payload.toString()) as Answer
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** Resolves when `condition` holds; throws when it does not within the deadline. */
export async function until(condition: () => boolean | Promise<boolean>, deadlineSeconds = 10): Promise<void> {
  const end = Date.now() + deadlineSeconds * 1000
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not so after ${deadlineSeconds} s: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
