import type postgres from 'postgres'

/** A statement handle outside a transaction. */
export type Sql = postgres.ISql

export type TransactionHooks = {
  /** Runs as the last statements of the transaction. A failure rolls everything back. */
  beforeCommit(effect: () => Promise<unknown>): void
  /** Runs once the transaction is committed, at most once a key. A failure is logged: what must happen is in a row. */
  afterCommit(key: string, effect: () => Promise<unknown>): void
}

/**
 * A transaction: the tagged template runs its statements. It may be started again from the beginning after a lost
 * connection or a deadlock, so effects outside the database belong into `afterCommit`.
 */
export type Transaction = postgres.TransactionSql & TransactionHooks

type Pending = { before: (() => Promise<unknown>)[]; after: Map<string, () => Promise<unknown>> }

/**
 * Adds the hooks to the handle of postgres.js. After `close` the handle throws instead of running a statement: work that goes on
 * after its transaction ended or was lost would write outside of it, or into the next one on the connection.
 */
export const withHooks = (
  sql: postgres.TransactionSql,
): { transaction: Transaction; pending: Pending; close: () => void } => {
  const pending: Pending = { before: [], after: new Map() }
  let closed = false
  const hooks: TransactionHooks = {
    beforeCommit: effect => void pending.before.push(effect),
    afterCommit: (key, effect) => void pending.after.set(key, effect),
  }
  const transaction = new Proxy(Object.assign(sql, hooks), {
    apply(target, self, args) {
      if (closed)
        throw new Error('A statement came after the end of its transaction: await it in the work, or use `read`')
      return Reflect.apply(target, self, args)
    },
  })
  const close = (): void => {
    closed = true
  }
  return { transaction, pending, close }
}

/** A value for a jsonb column; postgres.js wants an index signature that our types do not have. */
export const asJson = (value: unknown): postgres.JSONValue => value as postgres.JSONValue
