import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRegion } from '../fleet/create-region.ts'
import { fleetHandlers } from '../fleet/fleet-handlers.ts'
import type { Handlers } from '../http/handler.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { startTestDatabase } from '../testing/test-database.ts'

const token = tokens.admin
const authority = { certificatePem: '', issue: () => Promise.reject(new Error('not in this test')) }

test('a handler that changes something and forgets the audit entry fails in every test of its route', {
  timeout: 60_000,
}, async () => {
  await using db = await startTestDatabase()
  const { database } = db
  const parts = testParts(database)
  const handlers = fleetHandlers({ ...parts, authority })
  const silent: Handlers<'fleet'> = {
    ...handlers,
    createRegion: createRegion({ ...parts, audit: { append: () => undefined } }),
  }
  const body = (region: string) => ({ token, body: { region, name: region } })
  const [forgetful, careful] = [testApi('fleet', silent, { database }), testApi('fleet', handlers, { database })]
  assert.equal((await forgetful('POST', '/v1/regions', body('alps'))).status, 500)
  assert.equal((await db.sql`select from region`).length, 0, 'nothing of it stays')
  assert.equal((await careful('POST', '/v1/regions', body('alps'))).status, 201)
  // A statement that changes nothing needs no entry.
  assert.equal((await forgetful('POST', '/v1/regions', body('alps'))).status, 409)
  const { id } = (
    await careful('POST', '/v1/enrolment-codes', {
      token,
      body: { region: 'alps', expiresAt: new Date(Date.now() + 60_000).toISOString() },
    })
  ).body
  for (const _ of [1, 2])
    assert.equal((await careful('POST', `/v1/enrolment-codes/${id}/revoke`, { token })).status, 200)
})
