import assert from 'node:assert/strict'
import { test } from 'node:test'
import { uuidV7Ids } from '../adapters/ids.ts'
import { startTestDatabase } from '../testing/test-database.ts'
import { removeExpired } from './remove-expired.ts'

test('removes keys, messages, receipts and log entries by age, and never what is unsent', {
  timeout: 60_000,
}, async () => {
  await using db = await startTestDatabase()
  const { sql } = db
  for (const hours of [1, 25, 400, 800]) {
    const past = sql`now() - make_interval(hours => ${hours})`
    await sql`
      insert into idempotency (key, principal, route, request_sha256, created_at)
      values (${`key-${hours}`}, 'p', 'r', 'x', ${past})`
    await sql`insert into inbox (consumer, message_id, received_at) values ('c', ${uuidV7Ids.next()}, ${past})`
    // A node whose clock is wrong.
    await sql`
      insert into log_entry (time, level, region, node, message, received_at)
      values (now() + interval '10 years', 'info', 'r', ${uuidV7Ids.next()}, ${`${hours} h`}, ${past})`
    await sql`
      insert into parked_message (consumer, reason, body, parked_at) values ('c', ${`${hours} h`}, '{}', ${past})`
    for (const sent of [true, false]) {
      await sql`
        insert into outbox (message_id, exchange, routing_key, body, created_at, sent_at)
        values (${uuidV7Ids.next()}, 'e', ${`${hours}-${sent}`}, '{}', ${past}, ${sent ? past : null})`
    }
  }
  // Keys and sent messages of 25, 400 and 800 hours, receipts of the last two, log entries and parked messages of the last.
  assert.equal(await removeExpired(db.database), 10)
  assert.deepEqual(
    (await sql`select key from idempotency`).map(row => row.key),
    ['key-1'],
  )
  assert.equal((await sql`select from inbox`).length, 2)
  assert.deepEqual(
    (await sql`select routing_key from outbox order by id`).map(row => row.routing_key),
    ['1-true', '1-false', '25-false', '400-false', '800-false'],
  )
  const kept = ['1 h', '25 h', '400 h']
  assert.deepEqual(
    (await sql`select message from log_entry order by id`).map(row => row.message),
    kept,
  )
  assert.deepEqual(
    (await sql`select reason from parked_message order by id`).map(row => row.reason),
    kept,
  )
  assert.equal(await removeExpired(db.database), 0)
})
