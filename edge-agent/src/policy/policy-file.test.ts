import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { ByteMeter } from './byte-meter.ts'
import type { Work } from './decide.ts'
import { PolicyFile } from './policy-file.ts'
import { PolicyGate } from './policy-gate.ts'

const temporary = async () => {
  const path = await mkdtemp(join(tmpdir(), 'tributary-policy-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
const work: Work = {
  kind: 'training',
  task: { id: 'one', name: 'digits' },
  model: { id: '', name: '' },
  dataset: 'mnist',
  framework: 'onnx',
  trainer: 'built-in',
  groups: [],
  updateBytes: 1,
}
const situation = async () => ({
  now: new Date(),
  onBattery: false,
  metered: false,
  load: 0,
  bytesToday: { down: 0, up: 0 },
})

test('a policy is read again when it changes, and a broken one refuses everything and lets nothing leave', async () => {
  await using folder = await temporary()
  const gate = new PolicyGate({ file: new PolicyFile(folder.path), situation, log: pino({ level: 'silent' }) })
  const write = (text: string) => writeFile(join(folder.path, 'policy.json'), text)
  assert.equal(await gate.refusal(work), undefined)
  assert.deepEqual(gate.share, { metrics: true, logs: true, names: true, labelHistograms: true, statistics: true })
  await write('{"tasks": {"deny": ["digits"]}, "share": {"logs": false}, "memoryMegabytes": 500, "cpu": {"nice": 7}}')
  assert.deepEqual(await gate.refusal(work), { rule: 'tasks.deny' })
  assert.deepEqual(gate.share, { metrics: true, logs: false, names: true, labelHistograms: true, statistics: true })
  assert.deepEqual(gate.limits, { nice: 7, threads: undefined, memoryBytes: 500_000_000 })
  for (const broken of ['{', '{"task": {}}', '{"tasks": ["digits"]}', '[]', '{"hours": {"windows": []}}', '']) {
    await write(broken)
    assert.deepEqual(await gate.refusal(work), { rule: 'policy.json cannot be read' }, broken)
    assert.equal(gate.share.metrics, false)
  }
  const zone = '{"hours": {"timeZone": "Berlin", "windows": [{"from": "8:00", "to": "25:00"}]}}'
  await write(zone)
  const state = await new PolicyFile(folder.path).read()
  for (const said of [/hours\.timeZone/, /hours\.windows\[0\]\.from/, /hours\.windows\[0\]\.to/]) {
    assert.match('fault' in state ? state.fault : '', said)
  }
  await rm(join(folder.path, 'policy.json'))
  assert.equal(await gate.refusal(work), undefined)
})

test('bytes of a day are counted over restarts and begin anew with the next', async () => {
  await using folder = await temporary()
  const file = join(folder.path, 'bytes.json')
  let now = new Date(2026, 10, 25, 23, 59)
  {
    await using meter = await ByteMeter.open(file, () => now)
    meter.add('down', 700)
    meter.add('up', 30)
  }
  await using again = await ByteMeter.open(file, () => now)
  again.add('down', 1)
  assert.deepEqual(again.today, { down: 701, up: 30 })
  now = new Date(2026, 10, 26, 0, 0)
  assert.deepEqual(again.today, { down: 0, up: 0 })
  again.add('up', 5)
  assert.deepEqual(again.today, { down: 0, up: 5 })
  await writeFile(file, '{"day": "yesterday"}')
  await using damaged = await ByteMeter.open(file, () => now)
  assert.deepEqual(damaged.today, { down: 0, up: 0 })
})
