import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import { idempotencyKeyPattern } from '@tributary/contracts/idempotency-key'
import { canonicalJson } from '../audit/canonical-json.ts'
import type { Sql, Transaction } from '../database/transaction.ts'

/** One request under its key; the same key of another principal is another key. */
export type KeyedRequest = {
  readonly key: string
  readonly principal: string
  readonly route: string
  /** Of what was asked, so that a key used for something else is noticed. */
  readonly sha256: string
}

type Stored = { route: string; request_sha256: string; answer: string }

/** @throws TributaryError IDEMPOTENCY_KEY_REQUIRED */
export const keyedRequest = (
  key: string | undefined,
  principal: string,
  route: string,
  input: unknown,
): KeyedRequest => {
  if (key === undefined || !idempotencyKeyPattern.test(key)) throw new TributaryError('IDEMPOTENCY_KEY_REQUIRED')
  return { key, principal, route, sha256: createHash('sha256').update(canonicalJson(input)).digest('hex') }
}

/**
 * The answer that this request has had already, or null.
 * @throws TributaryError IDEMPOTENCY_CONFLICT
 */
export const storedAnswer = async (sql: Sql, request: KeyedRequest): Promise<{ answer: unknown } | null> => {
  const [row] = await sql<Stored[]>`
    select route, request_sha256, answer from idempotency
    where principal = ${request.principal} and key = ${request.key} and answer is not null`
  if (row === undefined) return null
  if (row.route !== request.route || row.request_sha256 !== request.sha256) {
    throw new TributaryError('IDEMPOTENCY_CONFLICT')
  }
  return { answer: JSON.parse(row.answer) }
}

/**
 * Runs `effect` unless this request has had its effect: key, effect and answer share the transaction. Equal requests at
 * once wait for the first one at the key's row; if that fails, its key is free again.
 * @param shownOnce member of the answer that is not kept: whoever asks again gets null there
 * @throws TributaryError IDEMPOTENCY_CONFLICT, and whatever `effect` throws
 */
export const runOnce = async (
  sql: Transaction,
  request: KeyedRequest,
  { status, shownOnce }: { status: number; shownOnce?: string | undefined },
  effect: () => Promise<unknown>,
): Promise<unknown> => {
  const claimed = await sql`
    insert into idempotency (key, principal, route, request_sha256)
    values (${request.key}, ${request.principal}, ${request.route}, ${request.sha256})
    on conflict (principal, key) do nothing`
  if (claimed.count === 0) {
    const stored = await storedAnswer(sql, request)
    // The row was there a moment ago and rows with an answer are only removed when they are old.
    if (stored === null) throw new TributaryError('UNAVAILABLE')
    return stored.answer
  }
  const answer = await effect()
  // As text inside the jsonb, which would give members back in another order.
  const kept = shownOnce === undefined ? answer : { ...(answer as object), [shownOnce]: null }
  const text = JSON.stringify(kept ?? null)
  await sql`
    update idempotency set status = ${status}, answer = ${sql.json(text)}
    where principal = ${request.principal} and key = ${request.key}`
  return answer
}
