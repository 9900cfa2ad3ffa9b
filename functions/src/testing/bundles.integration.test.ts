import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { functionSpecs } from '@tributary/contracts/functions'
import { ensureBuilds } from '@tributary/local-stack/platform/builds'
import { createTestAuthority } from './test-certificates.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../../', import.meta.url))
const mostBytes = 1.5 * 1024 * 1024
const mostMillis = 250
const tries = 7

/** Imports the bundle as Lambda's runtime does, in a process of its own. Configured, since an entry reads its configuration at once. */
const program = `
const started = performance.now()
const before = process.cpuUsage()
const { handler } = await import(process.argv[1])
const { user, system } = process.cpuUsage(before)
// Waiting for a processor that others use is no property of the bundle.
const millis = Math.min(performance.now() - started, (user + system) / 1000)
if (typeof handler !== 'function') throw new Error('no handler')
process.stdout.write(String(millis), () => process.exit())
`
const environment = {
  PATH: '/usr/bin:/bin',
  LOG_LEVEL: 'silent',
  DATABASE_URL: 'postgres://u:p@127.0.0.1:1/x',
  BUCKET: 'x',
  AWS_REGION: 'local',
  AWS_ACCESS_KEY_ID: 'x',
  AWS_SECRET_ACCESS_KEY: 'x',
  UPSTASH_REDIS_REST_URL: 'http://127.0.0.1:1',
  UPSTASH_REDIS_REST_TOKEN: 'x',
  RELAY_FUNCTION: 'relay',
  MERGE_FUNCTION: 'merge',
  VERSION_JOBS_FUNCTION: 'version-jobs',
  API_TOKENS: '[]',
  AMQP_URL: 'amqp://127.0.0.1:1',
}

suite('the bundles', { timeout: 300_000 }, () => {
  const resources = new AsyncDisposableStack()
  let files: Awaited<ReturnType<typeof createTestAuthority>>['config']
  before(async () => {
    files = resources.use(await createTestAuthority()).config
    await ensureBuilds(root, AbortSignal.timeout(200_000))
  })
  after(() => resources.disposeAsync())
  const bundleOf = (name: string) => join(root, 'functions', 'dist', name, 'index.mjs')

  test('are each below 1.5 MiB', async () => {
    for (const { name } of functionSpecs) {
      const { size } = await stat(bundleOf(name))
      assert.ok(size < mostBytes, `${name}: ${size} bytes`)
    }
  })

  test('are each imported in a new process within 250 ms', async context => {
    for (const { name } of functionSpecs) {
      const env = { ...environment, ...files.authority, ...files.authorityKey }
      // The quickest of some: what a machine does besides is no property of the bundle.
      let least = Number.POSITIVE_INFINITY
      for (let left = tries; left > 0 && least >= mostMillis; left -= 1) {
        least = Math.min(least, await importMillis(bundleOf(name), env))
      }
      context.diagnostic(`${name}: ${least.toFixed(0)} ms`)
      assert.ok(least < mostMillis, `${name}: ${least.toFixed(0)} ms`)
    }
  })
})

const importMillis = async (file: string, env: Record<string, string>): Promise<number> => {
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program, file], {
    env,
    timeout: 20_000,
  })
  return Number(stdout)
}
