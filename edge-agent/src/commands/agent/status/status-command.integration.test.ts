import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { pino } from 'pino'
import { Ledger } from '../../../status/ledger.ts'
import type { LiveStatus } from '../../../status/live-status.ts'
import { serveStatus } from '../../../status/status-socket.ts'
import { runAgentCommand } from '../run-agent-command.ts'

const log = pino({ level: 'silent' })
const task = '0190b5a0-0000-7000-8000-0000000000f1'
const running: LiveStatus = {
  device: 'one',
  version: '0.1.0',
  processId: 7,
  startedAt: '2026-11-25T12:00:00.000Z',
  training: { attempt: { task, round: 3, attempt: 1 }, dataset: 'flowers', progress: 0.42 },
  evaluation: null,
  node: { endpoint: 'localhost:1', answeredAt: null, fault: null },
  clock: null,
  broker: { url: 'mqtts://localhost:9', connected: true },
  certificateUntil: '2026-11-26T12:00:00.000Z',
  bytesToday: { down: 1, up: 2 },
  keptUpdates: 0,
  refusedBy: null,
}

const temporary = async () => {
  const path = await mkdtemp(join(tmpdir(), 'trb-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

const call = async (line: string, environment: Record<string, string>) => {
  const said = { out: '', err: '' }
  const code = await runAgentCommand(line.split(' '), {
    folder: tmpdir(),
    environment,
    output: {
      out: text => {
        said.out += text
      },
      err: text => {
        said.err += text
      },
      columns: undefined,
    },
    signal: new AbortController().signal,
  })
  return { code, ...said }
}

suite('what the owner sees', () => {
  test('status shows what the agent does, and of what was sent the newest and the sums', async () => {
    await using folder = await temporary()
    const environment = { STATE_DIR: folder.path }
    const nothing = await call('status', environment)
    assert.equal(nothing.code, 0)
    assert.match(nothing.out, /No agent runs with .*\n\nNothing was sent yet/)
    {
      using ledger = new Ledger(folder.path, log)
      for (const round of [1, 2]) {
        const sent = { round, attempt: 1, bytes: 1000, examples: 20, metrics: ['steps'], verdict: 'accepted' }
        ledger.record({ kind: 'update', task, ...sent })
      }
      ledger.record({ kind: 'failure', verdict: 'POLICY_REFUSED', detail: 'Rule "hours".' })
    }
    await using _socket = await serveStatus(folder.path, () => running, log)
    const { out } = await call('status --last 2', environment)
    assert.match(out, new RegExp(`trains flowers, 42 % of ${task} round 3.1`))
    assert.match(out, /2 updates \(2000 bytes\), 0 evaluations, 1 failures/)
    assert.ok(!out.includes('round 1.1') && out.includes('round 2.1') && out.includes('POLICY_REFUSED'), out)
    const json = JSON.parse((await call('status --json --last 0', environment)).out)
    assert.deepEqual([json.running, json.sent.length, json.totals.updateBytes], [running, 3, 2000])
    assert.equal((await call('status --last -1', environment)).code, 2)
  })

  test('datasets shows what central is told, no histogram where the policy keeps it, and what cannot be used', async () => {
    await using folder = await temporary()
    const [dataDir, stateDir] = [join(folder.path, 'data'), join(folder.path, 'state')]
    await mkdir(dataDir)
    await writeFile(join(dataDir, 'iris.csv'), 'width,length,species\n1,2,a\n3,4,b\n5,6,b\n')
    const flowers = { name: 'flowers', format: 'csv', file: 'iris.csv', label: 'species', classes: ['a', 'b'] }
    const declarations = [
      { ...flowers, tell: ['schema', 'names', 'label-histogram'], normalise: { by: 'federated' } },
      { ...flowers, name: 'gone', file: 'gone.csv' },
    ]
    await writeFile(join(dataDir, 'datasets.json'), JSON.stringify({ datasets: declarations }))
    const environment = {
      AGENT_CERT_FILE: 'c',
      AGENT_KEY_FILE: 'k',
      AUTHORITY_CERT_FILE: 'a',
      NODE_ENDPOINTS: 'localhost:1',
      MQTT_URL: 'mqtts://localhost:9',
      DATA_DIR: dataDir,
      STATE_DIR: stateDir,
    }
    const { code, out } = await call('datasets --json', environment)
    assert.equal(code, 1)
    const { told, faults, measured } = JSON.parse(out)
    assert.deepEqual(measured, ['flowers'])
    assert.deepEqual(
      [told.datasets, told.descriptions.map(({ labelCounts }: Record<string, unknown>) => labelCounts)],
      [[{ name: 'flowers', heldOut: false, examples: 3 }], [[1, 2]]],
    )
    assert.deepEqual(
      faults.map(({ name }: { name: string }) => name),
      ['gone'],
    )
    assert.match(
      (await call('datasets', environment)).out,
      / {4}to tasks that find statistics: scale, mean and variance/,
    )
    await writeFile(join(dataDir, 'policy.json'), '{"share": {"labelHistograms": false, "statistics": false}}')
    const kept = await call('datasets', environment)
    assert.match(
      kept.out,
      /flowers: 3 examples\n.*csv, \[2\] an example, kept as f32: width, length\n.*class, 1 an example of 2 classes: a, b/,
    )
    assert.ok(!/examples of each class|find statistics/.test(kept.out), kept.out)
    assert.match(kept.out, /Cannot be used:\n {2}gone: .*gone\.csv/)
    assert.deepEqual(await readdir(stateDir), [])
  })
})
