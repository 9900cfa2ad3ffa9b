import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { NodeStatusRequest } from '@tributary/contracts/node-status'
import { v7 as uuidv7 } from 'uuid'
import { ManualClock } from '../testing/manual-clock.ts'
import { TestAuthority } from '../testing/test-identity.ts'
import { CentralClient } from './central-client.ts'
import { CentralClock } from './central-clock.ts'

const statusWith = (agentVersion: string): NodeStatusRequest => ({
  nodeVersion: '0.1.0',
  endpoint: 'localhost:9443',
  boot: uuidv7(),
  draining: false,
  shards: [],
  progress: [],
  holding: [],
  holdingEvaluations: [],
  directorySequence: 0,
  presence: [
    { device: uuidv7(), online: true, seenAt: '2026-01-01T00:00:00Z', agentVersion, frameworks: [], datasets: [] },
  ],
  load: { rssBytes: 1, connections: 1 },
})

test('no text of a device makes central refuse the call that carries it', async () => {
  const bodies: string[] = []
  const server = createServer((request, response) => {
    void text(request).then(body => {
      bodies.push(body)
      response.end('{}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await using _ = {
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
    },
  }
  const id = uuidv7()
  const identity = await (await TestAuthority.open()).node(id)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new CentralClient(url, identity, new CentralClock(new ManualClock(Date.now())))
  await assert.rejects(client.status(statusWith('a\0b\ud83d\u0001\né'), AbortSignal.timeout(30_000)), /not as agreed/)
  const [body = ''] = bodies
  // Central takes no escape of a NUL or of half a surrogate pair (functions/src/http/read-body.ts).
  assert.ok(!body.includes('\\u'), body)
  assert.equal((JSON.parse(body) as NodeStatusRequest).presence?.[0]?.agentVersion, 'a\ufffdb\ufffd\ufffd\né')
})
