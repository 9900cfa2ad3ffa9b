import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { Ledger, type LedgerEntry, readLedger } from './ledger.ts'
import type { LiveStatus } from './live-status.ts'
import { readLiveStatus } from './read-live-status.ts'
import { serveStatus } from './status-socket.ts'

const log = pino({ level: 'silent' })
const temporary = async () => {
  const path = await mkdtemp(join(tmpdir(), 'trb-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
const status: LiveStatus = {
  device: 'one',
  version: '0.1.0',
  processId: 7,
  startedAt: '2026-11-25T12:00:00.000Z',
  training: null,
  evaluation: null,
  node: { endpoint: 'localhost:1', answeredAt: null, fault: 'nobody is there' },
  clock: null,
  broker: { url: 'mqtts://localhost:9', connected: false },
  certificateUntil: '2026-11-26T12:00:00.000Z',
  bytesToday: { down: 1, up: 2 },
  keptUpdates: 0,
  refusedBy: null,
}

test('an agent that runs is asked by its socket, which only its owner can use and which a dead one does not block', async () => {
  await using folder = await temporary()
  assert.equal(await readLiveStatus(folder.path), undefined)
  {
    await using _running = await serveStatus(folder.path, () => status, log)
    assert.deepEqual(await readLiveStatus(folder.path), status)
    assert.equal((await stat(join(folder.path, 'agent.sock'))).mode & 0o777, 0o600)
    // A second agent on the same folder leaves the first one's in place.
    await using _second = await serveStatus(folder.path, () => ({ ...status, device: 'two' }), log)
    assert.equal((await readLiveStatus(folder.path))?.device, 'one')
  }
  assert.equal(await readLiveStatus(folder.path), undefined)
  await writeFile(join(folder.path, 'agent.sock'), '')
  await using _next = await serveStatus(folder.path, () => status, log)
  assert.deepEqual(await readLiveStatus(folder.path), status)
})

test('the ledger gives back what was recorded in order, and leaves out a line that a crash tore', async () => {
  await using folder = await temporary()
  const record = (entry: Omit<LedgerEntry, 'time'>) => {
    using ledger = new Ledger(folder.path, log)
    ledger.record(entry)
  }
  record({ kind: 'update', task: 't', round: 1, attempt: 1, bytes: 10, sha256: 'ab', metrics: ['examples'] })
  await appendFile(join(folder.path, 'sent.jsonl'), '{"time": "2026-\n')
  record({ kind: 'failure', verdict: 'POLICY_REFUSED' })
  const entries = await Array.fromAsync(readLedger(folder.path))
  assert.deepEqual(
    entries.map(({ time: _, ...entry }) => entry),
    [
      { kind: 'update', task: 't', round: 1, attempt: 1, bytes: 10, sha256: 'ab', metrics: ['examples'] },
      { kind: 'failure', verdict: 'POLICY_REFUSED' },
    ],
  )
})
