import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { signedRequestType } from '@tributary/contracts/signed-request'
import { ensureStartModel } from '../demo/start-model.ts'
import type { ApiClient } from '../platform/api-client.ts'
import { ensureNode } from '../platform/fleet.ts'
import { enrol, type Identity } from '../platform/identity.ts'
import { runCommand } from '../processes/run-command.ts'
import { startControlPlaneRun } from '../testing/control-plane-run.ts'
import { ensurePython, hasPython } from '../testing/python.ts'

const packages = ['schemathesis==4.32.0', 'cryptography==50.0.2'] as const
const hooks = join(import.meta.dirname, '..', 'testing', 'api-fuzz-hooks.py')
const verifyCommand = join(import.meta.dirname, '..', '..', '..', '..', 'tools', 'verify-audit.ts')
const fuzzSeconds = 75
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
  'allow_header_conformance',
]
/** Some thousands on two cores that are free; fewer than this would say that something kept the tool from asking. */
const fewestRequests = 1000
const mostCauses = 40

const region = 'alps'

/** One of everything that a path can name. */
const seed = async (api: ApiClient, folder: string) => {
  await api.call('createRegion', { body: { region, name: 'Alps' } })
  const node = await ensureNode(api, join(folder, 'node'), region)
  const device = await enrol(join(folder, 'device'), csr =>
    api.call('registerDevice', { body: { label: 'one', region, csr } }),
  )
  const { model, version } = await ensureStartModel(api, '2nn', 1)
  await api.call('setAlias', { params: { model, alias: 'production' }, body: { version } })
  const task = (start: boolean) =>
    api.call('createTask', { body: { name: 'one', model: { model, version }, cohort: { dataset: 'mnist' }, start } })
  const tasks = [await task(true), await task(false)]
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString()
  const code = await api.call('createEnrolmentCode', { body: { region, count: 10, expiresAt } })
  const key = await api.call('createApiKey', { body: { name: 'one', role: 'viewer' } })
  return {
    node,
    device,
    ids: {
      region: [region],
      node: [node.id],
      device: [device.id],
      model: [model],
      version: [version],
      alias: ['production'],
      task: tasks.map(({ id }) => id),
      code: [code.id],
      key: [key.id],
    },
  }
}

/** Python's libraries want the key; the certificate goes into the signature without its frame. */
const holder = async ({ id, certificateFile, keyFile }: Identity) => ({
  id,
  type: signedRequestType,
  key: await readFile(keyFile, 'utf8'),
  certificate: (await readFile(certificateFile, 'utf8')).replaceAll(/-----[A-Z ]+-----|\s/g, ''),
})

/** What the functions logged as errors: the tool sees no more than a 500. */
const failuresIn = async (folder: string): Promise<readonly string[]> => {
  const files = (await readdir(folder)).filter(name => name.endsWith('.log'))
  const texts = await Promise.all(files.map(name => readFile(join(folder, name), 'utf8')))
  return texts.flatMap(text => text.split('\n').filter(line => line.includes('"level":50'))).slice(0, mostCauses)
}

/** What the functions measured, as the local runner shows it: a 5xx would be seen here too. */
const readRequests = async (url: string) => {
  const text = await (await fetch(`${url}/metrics`)).text()
  const lines = text.split('\n').filter(line => line.startsWith('tributary_requests_total{'))
  const total = lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  return { total, failed: lines.filter(line => /status="5\d\d"/.test(line)) }
}

test('thousands of requests made from the OpenAPI document get no 5xx and no answer that it does not describe', {
  timeout: 600_000,
}, async context => {
  if (!(await hasPython())) {
    assert.ok(process.env.CI === undefined, 'CI has no python3 with venv')
    context.skip('there is no python3 with venv')
    return
  }
  const python = await ensurePython(packages)
  await using plane = await startControlPlaneRun()
  const { node, device, ids } = await seed(plane.api, plane.folder)
  const given = join(plane.folder, 'given.json')
  const report = join(plane.folder, 'report.ndjson')
  await writeFile(given, JSON.stringify({ ids, holders: { node: await holder(node), device: await holder(device) } }))
  const output = await runCommand(
    python,
    [
      // The folder of the packages was renamed when it was whole, so their scripts lead nowhere.
      ...['-c', 'from schemathesis.cli import schemathesis; schemathesis()', 'run'],
      `${plane.url}/v1/openapi.json`,
      ...['--header', `Authorization: Bearer ${plane.tokens.admin}`],
      ...['--checks', checks.join(',')],
      // One worker: CPython 3.11 cannot parse in two threads at once, and generating is what takes the time.
      ...['--phases', 'coverage,fuzzing', '--max-examples', '40', '--seed', '1', '--workers', '1'],
      ...['--max-time', String(fuzzSeconds), '--request-timeout', '20', '--continue-on-failure', '--no-shrink'],
      ...['--suppress-health-check', 'all', '--warnings', 'off', '--no-color'],
      ...['--report', 'ndjson', '--report-ndjson-path', report],
    ],
    {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: plane.folder, SCHEMATHESIS_HOOKS: hooks, API_FUZZ: given },
      cwd: plane.folder,
      deadlineSeconds: fuzzSeconds + 120,
    },
  ).catch(async (error: { output?: string; message: string }) => {
    const causes = await failuresIn(plane.logs)
    throw new Error([error.output ?? error.message, ...causes].join('\n'))
  })
  const requests = Number(/(\d+) generated/.exec(output)?.[1] ?? 0)
  context.diagnostic(output.trimEnd().split('\n').slice(-12).join('\n'))
  assert.ok(requests >= fewestRequests, `${requests} requests\n${output}`)
  const measured = await readRequests(plane.url)
  assert.ok(measured.total >= requests, `${measured.total} requests measured`)
  assert.deepEqual(measured.failed, [])
  // What was fuzzed is whole afterwards.
  const verified = await plane.api.call('verifyAudit', { query: { most: 20_000 } })
  assert.deepEqual([verified.valid, verified.brokenAt], [true, null])
  const tokenFile = join(plane.folder, 'admin.token')
  await writeFile(tokenFile, plane.tokens.admin)
  const told = await runCommand(
    process.execPath,
    [
      verifyCommand,
      '--url',
      plane.url,
      '--token-file',
      tokenFile,
      '--head',
      `${verified.head.sequence}:${verified.head.hash}`,
    ],
    { env: { PATH: '/usr/bin:/bin' }, deadlineSeconds: 60 },
  )
  assert.match(told, /^entries 1 to \d+ are as they were written\n/)
})
