import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { functionSpecs } from '@tributary/contracts/functions'
import { processAlive, signalGroup } from '../processes/process-group.ts'
import { bundle, temporaryFolder, until } from './testing.ts'

const entry = fileURLToPath(new URL('./lambda-runner.main.ts', import.meta.url))
const answering = `
import { writeFileSync } from 'node:fs'
writeFileSync(process.env.PIDS + '/' + process.pid, '')
export const handler = async () => ({ pid: process.pid })
`

/** The whole runner as its own process, with two frozen instances and one that runs. */
async function startedRunner() {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder()).path
  for (const { name } of functionSpecs) await bundle(folder, name, answering)
  await bundle(folder, 'tasks', answering.replace('async () => (', 'async () => { for (;;) {} }; ('))
  const pids = stack.use(await temporaryFolder()).path
  const child = spawn(process.execPath, [entry], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: {
      BUNDLES_DIR: folder,
      LOG_DIR: join(folder, 'log'),
      TEMP_DIR: join(folder, 'tmp'),
      API_LISTEN: '127.0.0.1:0',
      INVOKE_LISTEN: '127.0.0.1:0',
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'AKIDLOCAL',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AMQP_URL: 'amqp://127.0.0.1:1',
      FUNCTION_ENVIRONMENT: JSON.stringify({ common: { PIDS: pids } }),
      PREWARM: 'models',
      DISPOSAL_AFTER_INVOCATION: '0',
    },
  })
  stack.defer(() => {
    if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL')
  })
  const output = lines(child)
  await until(() => /Invoke API on port/.test(output()))
  const port = Number(/HTTP API on port (\d+)/.exec(output())?.[1])
  const invokePort = Number(/Invoke API on port (\d+)/.exec(output())?.[1])
  await fetch(`http://127.0.0.1:${port}/v1/health`)
  fetch(`http://127.0.0.1:${port}/v1/tasks`).catch(() => undefined)
  await until(() => readdirSync(pids).length === 3)
  const instances = readdirSync(pids).map(Number)
  const health = await fetch(`http://127.0.0.1:${invokePort}/healthz`)
  // Without a broker it never consumes events.
  assert.equal(health.status, 503)
  const told = (await health.json()) as { instances: Record<string, number[]> }
  assert.deepEqual(Object.values(told.instances).flat().toSorted(), instances.toSorted())
  const owned = stack.move()
  return { child, instances, output, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

function lines(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => (text += chunk))
  return () => text
}

test('kill -9 of the runner leaves no instance behind, frozen or running', async () => {
  await using runner = await startedRunner()
  runner.child.kill('SIGKILL')
  await until(() => !runner.instances.some(processAlive), 15)
})

for (const how of ['SIGTERM', 'end of stdin'] as const) {
  test(`${how} ends the runner and every instance`, async () => {
    await using runner = await startedRunner()
    const exit = once(runner.child, 'exit')
    if (how === 'SIGTERM') runner.child.kill('SIGTERM')
    else runner.child.stdin?.end()
    const [code] = await exit
    assert.equal(code, 0)
    assert.deepEqual(runner.instances.filter(processAlive), [])
  })
}

test('wrong settings are all named, and end the runner with exit code 1', async () => {
  const child = spawn(process.execPath, [entry], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { API_LISTEN: 'nowhere', FUNCTION_ENVIRONMENT: '{' },
  })
  const output = lines(child)
  const [code] = await once(child, 'close')
  assert.equal(code, 1)
  for (const name of ['BUNDLES_DIR', 'API_LISTEN', 'FUNCTION_ENVIRONMENT', 'AMQP_URL']) {
    assert.match(output(), new RegExp(name))
  }
})
