import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { LocalTensors } from '../state/local-tensors.ts'
import { ProbeCache } from './probe-cache.ts'
import { probeStamp } from './probe-stamp.ts'
import { PythonTrainers } from './python-trainers.ts'

const temporary = async () => {
  const path = await mkdtemp(join(tmpdir(), 'tributary-probe-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
const found = { stamp: 'a'.repeat(64), python: '3.11.2', version: '2.4.0' }

test('what was found outlives the agent as long as the stamp is the same, and a damaged file is an empty one', async () => {
  await using folder = await temporary()
  const file = join(folder.path, 'probes.json')
  const cache = await ProbeCache.open(file)
  await cache.put('two-nn', found)
  await cache.put('other', found)
  await cache.forget('other')
  const again = await ProbeCache.open(file)
  assert.deepEqual(again.get('two-nn', found.stamp), found)
  assert.equal(again.get('two-nn', 'b'.repeat(64)), undefined)
  assert.equal(again.get('two-nn', undefined), undefined)
  assert.equal(again.get('other', found.stamp), undefined)
  await writeFile(file, '[{}]')
  assert.equal((await ProbeCache.open(file)).get('two-nn', found.stamp), undefined)
})

test('a stamp changes with the interpreter, its packages, the worker, the code of the trainer and how it is declared', async () => {
  await using folder = await temporary()
  const at = (...names: string[]) => join(folder.path, ...names)
  for (const name of ['venv/bin', 'venv/lib/python3.11/site-packages', 'code/tributary_worker', 'code/my'])
    await mkdir(at(name), { recursive: true })
  const files = [at('venv/bin/python'), at('code/tributary_worker/__main__.py'), at('code/my/net.py')]
  for (const file of files) await writeFile(file, '')
  const trainer = {
    framework: 'pytorch' as const,
    python: at('venv/bin/python'),
    trainer: 'my.net:trainer',
    path: [at('code')],
    env: {},
  }
  const first = await probeStamp(trainer)
  assert.match(first ?? '', /^[0-9a-f]{64}$/)
  assert.equal(await probeStamp(trainer), first)
  const seen = new Set([first])
  for (const file of [...files, at('venv/lib/python3.11/site-packages')]) {
    await utimes(file, 1, seen.size)
    seen.add(await probeStamp(trainer))
  }
  seen.add(await probeStamp({ ...trainer, env: { A: 'b' } }))
  seen.add(await probeStamp({ ...trainer, trainer: 'my.net:other' }))
  assert.equal(seen.size, 7)
  assert.equal(await probeStamp({ ...trainer, python: 'no-such-python' }), undefined)
})

test('a start of the agent loads a framework only where something changed since the last', async () => {
  await using folder = await temporary()
  const at = (name: string) => join(folder.path, name)
  const answer = { kind: 'probed', worker: '0.1.0', python: '3.11.2', framework: 'pytorch', version: '2.4.0' }
  await writeFile(at('python'), `#!/bin/sh\necho started >> ${at('starts')}\necho '${JSON.stringify(answer)}' >&3\n`)
  await chmod(at('python'), 0o755)
  const trainers = [{ name: 'net', framework: 'pytorch', python: at('python'), trainer: 'net:trainer' }]
  await writeFile(at('trainers.json'), JSON.stringify({ trainers }))
  const local = await LocalTensors.open(at('local'), 1)
  const log = pino({ level: 'silent' })
  const start = async () => {
    const opened = await PythonTrainers.open({ dataDir: folder.path, folder: at('state'), local, log })
    await opened.probe(AbortSignal.timeout(30_000), () => {})
    return [opened.frameworks, (await readFile(at('starts'), 'utf8')).match(/started/g)?.length]
  }
  assert.deepEqual(await start(), [['pytorch'], 1])
  assert.deepEqual(await start(), [['pytorch'], 1])
  await utimes(at('python'), 1, 1)
  assert.deepEqual(await start(), [['pytorch'], 2])
})
