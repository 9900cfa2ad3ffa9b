import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { CheckInRequestSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { TestAuthority } from '@tributary/edge-agent/testing/certificates'
import { identityOf } from '@tributary/edge-agent/testing/federation'
import { TestNode } from '@tributary/edge-agent/testing/test-node'
import { Endpoints } from '@tributary/edge-agent/transport/endpoints'
import { TcpProxy } from '@tributary/regional-node/testing/tcp-proxy'

const times = { unaryMillis: 2000, stallMillis: 2000, verdictMillis: 2000 }

test('a connection that died without a word costs an agent one call: the next goes by another one', async () => {
  const authority = await TestAuthority.create()
  await using node = await TestNode.start(authority)
  await using link = await TcpProxy.open(Number(node.endpoint.split(':')[1]))
  using endpoints = new Endpoints([`localhost:${link.port}`], await identityOf(authority), times)
  const checkIn = () => endpoints.client().checkIn(create(CheckInRequestSchema, {}), AbortSignal.timeout(60_000))
  await checkIn()
  assert.equal(link.connections, 1)
  // As when a router forgot the connection: what is sent goes nowhere, and later connections are fine.
  link.fault = { kind: 'one-way', deaf: 'client' }
  await assert.rejects(checkIn(), { name: 'CallError', status: 4 })
  link.fault = undefined
  await assert.rejects(checkIn(), { name: 'CallError' }, 'the old connection is as dead as it was')
  endpoints.failed()
  await checkIn()
  assert.equal(link.connections, 2)
})
