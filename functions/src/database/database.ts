import { setTimeout as delay } from 'node:timers/promises'
import { TributaryError } from '@tributary/contracts/errors'
import postgres from 'postgres'
import type { Log } from '../log.ts'
import { isConnectionError, isTransientError } from './connection-error.ts'
import { type Sql, type Transaction, withHooks } from './transaction.ts'
import { fetchTypes, valueTypes } from './value-types.ts'

export type DatabaseOptions = {
  readonly url: string
  readonly log: Log
  /** Shown in pg_stat_activity. */
  readonly name: string
  /** Longest single statement. @default 10 s */
  readonly statementSeconds?: number
}

/** A function's instance serves one invocation at a time, so one connection is all that it needs. */
const connections = 1
/** A frozen instance's connection may have been cut without its knowing. */
const idleMillis = 20_000
const attempts = 6
const backOff = (attempt: number): number => Math.min(1000, 50 * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2)

/** Postgres, the only truth. Owns its connection; survives restarts of the server and freezes of this process. */
export class Database implements AsyncDisposable {
  readonly #options: DatabaseOptions
  #pool: postgres.Sql | undefined
  #lastUsed = 0

  constructor(options: DatabaseOptions) {
    this.#options = options
  }

  /**
   * Statements outside a transaction that may safely run twice.
   * @throws TributaryError UNAVAILABLE when the database does not answer
   */
  read<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#retrying(work)
  }

  /**
   * One transaction (read committed). The work runs again after deadlocks and lost connections; where a connection was
   * lost at the commit itself it may find its own effect, so it must be conditional (keys, states), as all of ours is.
   * @throws TributaryError UNAVAILABLE when the database does not answer
   */
  async transaction<T>(work: (sql: Transaction) => Promise<T>): Promise<T> {
    const { value, after } = await this.#retrying(async pool => {
      let after = new Map<string, () => Promise<unknown>>()
      const lost = Promise.withResolvers<never>()
      const begun = pool.begin(async sql => {
        const { transaction, pending, close } = withHooks(sql)
        after = pending.after
        lost.promise.catch(close)
        try {
          const value = await work(transaction)
          for (const effect of pending.before) await effect()
          // postgres.js awaits the members of an array; the object keeps it whole.
          return { value }
        } catch (error) {
          if (!isConnectionError(error)) throw error
          // Told here and not to postgres.js 3.4: its `rollback` to a socket that is gone throws where nobody can catch it.
          lost.reject(error)
          return new Promise<never>(() => undefined)
        } finally {
          close()
        }
      })
      begun.catch(lost.reject)
      const value = await Promise.race([begun, lost.promise])
      return { value: (value as { value: T }).value, after }
    })
    await Promise.all(
      [...after].map(async ([key, effect]) => {
        try {
          await effect()
        } catch (error) {
          this.#options.log.warn(
            { error, effect: key },
            'an effect after the commit failed; the sweep will make it good',
          )
        }
      }),
    )
    return value
  }

  async #retrying<R>(work: (pool: postgres.Sql) => Promise<R>): Promise<R> {
    for (let attempt = 1; ; attempt += 1) {
      const pool = this.#livePool()
      try {
        const result = await work(pool)
        this.#lastUsed = Date.now()
        return result
      } catch (error) {
        this.#lastUsed = Date.now()
        // Another piece of work may have opened the next connection already.
        if (isConnectionError(error) && pool === this.#pool) this.discard()
        if (!isTransientError(error)) throw error
        if (attempt === attempts) throw new TributaryError('UNAVAILABLE', { cause: error })
        this.#options.log.warn({ error, attempt }, 'the database refused or was lost; trying again')
        await delay(backOff(attempt))
      }
    }
  }

  #livePool(): postgres.Sql {
    if (this.#pool !== undefined && Date.now() - this.#lastUsed > idleMillis) this.discard()
    this.#lastUsed = Date.now()
    this.#pool ??= this.#open()
    return this.#pool
  }

  #open(): postgres.Sql {
    const { url, name, statementSeconds = 10 } = this.#options
    const statementMillis = statementSeconds * 1000
    return postgres(url, {
      max: connections,
      connect_timeout: 5,
      onnotice: () => undefined,
      // Where queries wait for a connection that closes, postgres.js opens another, even after `end`; nobody would close it.
      idle_timeout: idleMillis / 1000,
      fetch_types: fetchTypes,
      types: valueTypes,
      connection: {
        application_name: `tributary-${name}`,
        statement_timeout: statementMillis,
        idle_in_transaction_session_timeout: statementMillis,
      },
    }) as unknown as postgres.Sql
  }

  /** Drops the connection with all that waits for it; the next use opens another. For when an invocation ran out of time. */
  discard(): void {
    const pool = this.#pool
    this.#pool = undefined
    pool?.end({ timeout: 0 }).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    await pool?.end({ timeout: 5 })
  }
}
