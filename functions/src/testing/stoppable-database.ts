import { startPostgres } from '@tributary/local-stack/services/postgres'
import { testContext } from '@tributary/local-stack/services/testing'
import postgres from 'postgres'
import { Database } from '../database/database.ts'
import { fetchTypes, valueTypes } from '../database/value-types.ts'
import { createLog } from '../log.ts'
import { migrate } from '../migrations/migrate.ts'
import type { TestDatabase } from './test-database.ts'

export type StoppableDatabase = Omit<TestDatabase, 'createEmpty' | 'serverPid'> & {
  /** Stops the server as `pg_ctl stop -m immediate` does, without a checkpoint, and starts it again on the same files. */
  restartAtOnce(): Promise<void>
}

/** A real Postgres with the schema that a test may stop at any moment. */
export const startStoppableDatabase = async (): Promise<StoppableDatabase> => {
  await using stack = new AsyncDisposableStack()
  const context = stack.use(await testContext())
  let service = await startPostgres(context)
  stack.defer(() => service[Symbol.asyncDispose]())
  const { url } = service
  await migrate({ databaseUrl: url })
  const database = stack.use(new Database({ url, log: createLog('silent', 'test'), name: 'test' }))
  const sql = postgres(url, { max: 4, onnotice: () => undefined, fetch_types: fetchTypes, types: valueTypes })
  stack.defer(() => sql.end({ timeout: 1 }))
  const owned = stack.move()
  return {
    url,
    database,
    sql: sql as unknown as postgres.Sql,
    async restartAtOnce() {
      const [server] = service.processIds()
      if (server === undefined) throw new Error('the server does not run')
      process.kill(server, 'SIGQUIT')
      await service[Symbol.asyncDispose]()
      service = await startPostgres(context)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
