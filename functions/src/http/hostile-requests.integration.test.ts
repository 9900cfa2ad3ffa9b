import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Problem } from '@tributary/contracts/problem'
import { routes } from '@tributary/contracts/routes'
import type { Route } from '@tributary/contracts/routes/route'
import fc from 'fast-check'
import { uuidV7Ids } from '../adapters/ids.ts'
import { fleetHandlers } from '../fleet/fleet-handlers.ts'
import { modelsHandlers } from '../models/models-handlers.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { startTestStore } from '../testing/test-store.ts'

const token = tokens.admin
const authority = { certificatePem: '', issue: () => Promise.reject(new Error('not in this test')) }
const codeOf = { ID_INVALID: true, NOT_FOUND: true, ROUTE_UNKNOWN: true }

suite('whatever is sent', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let apis: Record<'fleet' | 'models', ReturnType<typeof testApi>>
  before(async () => {
    db = resources.use(await startTestDatabase())
    const { store } = resources.use(await startTestStore())
    const parts = testParts(db.database)
    const { database } = db
    apis = {
      fleet: testApi('fleet', fleetHandlers({ ...parts, authority }), { database }),
      models: testApi('models', modelsHandlers({ ...parts, store }), { database }),
    }
  })
  after(() => resources.disposeAsync())

  const served = (Object.values(routes) as Route[]).filter(
    (route): route is Route & { function: 'fleet' | 'models' } =>
      route.function === 'fleet' || route.function === 'models',
  )
  const pathOf = (route: Route, ids: readonly string[]) => {
    let next = 0
    return route.path.replace(/\{\w+\}/g, () => encodeURIComponent(ids[next++ % ids.length] ?? 'x') || 'x')
  }
  const field = fc.oneof(
    fc.jsonValue(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('alps', 'x'.repeat(70), '\0', '__proto__'),
  )
  const body = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc
      .dictionary(
        fc.constantFrom(
          'region',
          'name',
          'shardCount',
          'label',
          'csr',
          'hostnames',
          'groups',
          'description',
          'manifest',
          'weights',
          '__proto__',
        ),
        field,
      )
      .map(value => JSON.stringify(value)),
  )

  test('is answered by the schema of its route or by a problem of the catalogue below 500', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...served),
        fc.array(fc.oneof(fc.string(), fc.constant(uuidV7Ids.next())), { minLength: 2, maxLength: 2 }),
        body,
        fc.oneof(
          fc.constant(''),
          fc.webQueryParameters(),
          fc.constantFrom('limit=2', 'cursor=AAAA', 'cursor=IiI', 'limit=%00'),
        ),
        async (route, ids, text, query) => {
          const options = route.method === 'GET' ? { token, query } : { token, query, body: text }
          const answer = await apis[route.function](route.method, pathOf(route, ids), options)
          assert.ok(answer.status < 500, JSON.stringify(answer.body))
          if (answer.status >= 400) Problem.parse(answer.body)
        },
      ),
      { numRuns: 1500 },
    )
  })

  test("a cursor of somebody else's making is a wrong query", async () => {
    for (const position of ['\0', ['\0', '\0'], -1, null, { a: 1 }, 'A', ['a', 'b', 'c'], 2 ** 31]) {
      const cursor = Buffer.from(JSON.stringify(position)).toString('base64url')
      for (const route of served.filter(
        ({ path, query }) => query?.shape.cursor !== undefined && !path.includes('{'),
      )) {
        const answer = await apis[route.function]('GET', route.path, { token, query: `cursor=${cursor}` })
        assert.equal(answer.body.code, 'QUERY_INVALID', `${route.path} ${cursor}`)
      }
    }
  })

  test('an id that is a path never leaves its place', async () => {
    for (const id of ['../regions', '..', '.', '/etc/passwd', '%2e%2e', "'; drop table device; --", '{device}']) {
      const { status, body: problem } = await apis.fleet('GET', `/v1/devices/${encodeURIComponent(id)}`, { token })
      assert.ok(status === 400 || status === 404)
      assert.ok(Object.hasOwn(codeOf, problem.code), problem.code)
    }
  })
})
