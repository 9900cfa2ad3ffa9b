import assert from 'node:assert/strict'
import { test } from 'node:test'
import { uuidV7Ids } from '../adapters/ids.ts'
import { startTestDatabase } from '../testing/test-database.ts'
import { removeExpired } from './remove-expired.ts'

test('removes keys, sent messages and receipts by age, and never what is unsent', { timeout: 60_000 }, async () => {
  await using db = await startTestDatabase()
  const { sql } = db
  for (const hours of [1, 25, 400]) {
    const past = sql`now() - make_interval(hours => ${hours})`
    await sql`
      insert into idempotency (key, principal, route, request_sha256, created_at)
      values (${`key-${hours}`}, 'p', 'r', 'x', ${past})`
    await sql`insert into inbox (consumer, message_id, received_at) values ('c', ${uuidV7Ids.next()}, ${past})`
    for (const sent of [true, false]) {
      await sql`
        insert into outbox (message_id, exchange, routing_key, body, created_at, sent_at)
        values (${uuidV7Ids.next()}, 'e', ${`${hours}-${sent}`}, '{}', ${past}, ${sent ? past : null})`
    }
  }
  assert.equal(await removeExpired(db.database), 5)
  assert.deepEqual(
    (await sql`select key from idempotency`).map(row => row.key),
    ['key-1'],
  )
  assert.equal((await sql`select from inbox`).length, 2)
  assert.deepEqual(
    (await sql`select routing_key from outbox order by id`).map(row => row.routing_key),
    ['1-true', '1-false', '25-false', '400-false'],
  )
  assert.equal(await removeExpired(db.database), 0)
})
