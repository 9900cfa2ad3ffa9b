import { randomBytes } from 'node:crypto'
import { startPostgres } from '@tributary/local-stack/services/postgres'
import { testContext } from '@tributary/local-stack/services/testing'
import postgres from 'postgres'
import { Database } from '../database/database.ts'
import { fetchTypes, valueTypes } from '../database/value-types.ts'
import { createLog } from '../log.ts'
import { migrate } from '../migrations/migrate.ts'

export type TestDatabase = AsyncDisposable & {
  readonly url: string
  readonly database: Database
  /** Another connection, for what a test looks up or prepares itself. */
  readonly sql: postgres.Sql
  /** One more database on the same server, empty. */
  createEmpty(): Promise<string>
  /** Operating-system process of the server. */
  readonly serverPid: number
}

/** A real Postgres of the suite's own, with the schema. */
export const startTestDatabase = async (): Promise<TestDatabase> => {
  await using stack = new AsyncDisposableStack()
  const context = stack.use(await testContext())
  const service = stack.use(await startPostgres(context))
  const admin = connect(service.adminUrl)
  stack.defer(() => admin.end({ timeout: 1 }))
  await migrate({ databaseUrl: service.url })
  const database = stack.use(new Database({ url: service.url, log: createLog('silent', 'test'), name: 'test' }))
  const sql = connect(service.url)
  stack.defer(() => sql.end({ timeout: 1 }))
  const owned = stack.move()
  return {
    url: service.url,
    database,
    sql,
    serverPid: service.processIds()[0] as number,
    async createEmpty() {
      const name = `test_${randomBytes(6).toString('hex')}`
      await admin.unsafe(`create database ${name} owner tributary`)
      return service.url.replace(/\/[^/]*$/, `/${name}`)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const connect = (url: string) =>
  postgres(url, {
    max: 4,
    onnotice: () => undefined,
    fetch_types: fetchTypes,
    types: valueTypes,
  }) as unknown as postgres.Sql
