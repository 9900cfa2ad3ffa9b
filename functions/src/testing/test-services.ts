import { after, before } from 'node:test'
import type { ObjectStore } from '../adapters/object-store.ts'
import { type Enrolment, RoundFederation } from './round-federation.ts'
import { startTestDatabase, type TestDatabase } from './test-database.ts'
import { startTestStore, type TestStore } from './test-store.ts'

export type TestServices = {
  readonly db: TestDatabase
  readonly store: ObjectStore
  /** A federation on them, of which nothing was there before. */
  begin(regions: Readonly<Record<string, Enrolment>>): Promise<RoundFederation>
}

/** A database and an object store of a test file's own: started before its tests, ended after them. */
export const testServices = (): TestServices => {
  const stack = new AsyncDisposableStack()
  let db: TestDatabase | undefined
  let objects: TestStore | undefined
  before(async () => {
    db = stack.use(await startTestDatabase())
    objects = stack.use(await startTestStore())
  })
  after(() => stack.disposeAsync())
  return {
    get db() {
      return started(db)
    },
    get store() {
      return started(objects).store
    },
    begin: regions => RoundFederation.begin(started(db), started(objects).store, regions),
  }
}

const started = <Service>(service: Service | undefined): Service => {
  if (service === undefined) throw new Error('the services are there inside tests only')
  return service
}
