import { setTimeout as delay } from 'node:timers/promises'
import { advisoryLocks } from '../database/advisory-locks.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../log.ts'
import type { BrokerConnection } from './broker-connection.ts'
import { type OutboxRow, publishBatch } from './publish-batch.ts'

export type RelayParts = { readonly database: Database; readonly broker: BrokerConnection; readonly log: Log }

const batchRows = 200
const confirmMillis = 8000
const longestPauseMillis = 2000

/**
 * Sends what the outbox holds until it is empty. A batch's rows are marked in the transaction that locked them, after the
 * broker has confirmed: a crash between the two sends them again, and consumers know a message by its id.
 * @returns how many were sent
 * @throws the last failure of the broker when the time is over
 */
export const relayOutbox = async (parts: RelayParts, signal: AbortSignal): Promise<number> => {
  let sent = 0
  for (let failures = 0; ; ) {
    try {
      const count = await sendBatch(parts, signal)
      sent += count
      failures = 0
      if (count < batchRows) return sent
    } catch (error) {
      parts.broker.discard()
      failures += 1
      if (signal.aborted) throw error
      parts.log.warn({ error, failures }, 'a batch could not be sent; trying again')
      const pause = Math.min(longestPauseMillis, 100 * 2 ** (failures - 1)) * (0.5 + Math.random() / 2)
      // The failure tells more than the abort that ends the pause.
      await delay(pause, undefined, { signal }).catch(() => Promise.reject(error))
    }
  }
}

const sendBatch = async ({ database, broker }: RelayParts, signal: AbortSignal): Promise<number> => {
  signal.throwIfAborted()
  // Connecting takes its time; no lock is held for it.
  await broker.channel()
  return database.transaction(async sql => {
    // One relay at a time, so that messages leave in order. Waits: rows committed while another relay was finishing must not be left behind.
    await sql`select pg_advisory_xact_lock(${advisoryLocks.relay})`
    const rows = await sql<OutboxRow[]>`
      select id, message_id, exchange, routing_key, body from outbox
      where sent_at is null order by id limit ${batchRows} for update`
    if (rows.length === 0) return 0
    await publishBatch(await broker.channel(), rows, AbortSignal.any([signal, AbortSignal.timeout(confirmMillis)]))
    await sql`update outbox set sent_at = now() where id in ${sql(rows.map(row => row.id))}`
    return rows.length
  })
}
