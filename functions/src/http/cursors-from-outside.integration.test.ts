import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deploymentsHandlers } from '../deployments/deployments-handlers.ts'
import { fleetHandlers } from '../fleet/fleet-handlers.ts'
import { tasksHandlers } from '../tasks/tasks-handlers.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { testServices } from '../testing/test-services.ts'
import { encodeCursor } from './cursor.ts'

const services = testServices()
const id = '01890a5d-ac96-774b-bcce-b302099a8057'
const token = tokens.viewer
const authority = { certificatePem: '', issue: () => Promise.reject(new Error('not in this test')) }

test('a cursor or a filter that somebody made up is refused or leads to an empty page, never to a failure', {
  timeout: 60_000,
}, async () => {
  const federation = await services.begin({ north: { trainers: 1 } })
  const { database } = services.db
  const apis = {
    tasks: testApi('tasks', tasksHandlers(federation.context), { database }),
    fleet: testApi('fleet', fleetHandlers({ ...testParts(database), authority }), { database }),
    deployments: testApi('deployments', deploymentsHandlers(federation.context), { database }),
  }
  const cursors = [
    [2 ** 31, 1, id],
    [1, 2 ** 53, id],
    [id, 2 ** 31, -(2 ** 40)],
    [1e300, null, id],
    ['x', id],
    [],
    null,
    { __proto__: 1 },
    2 ** 53,
    'a\0',
  ].map(encodeCursor)
  const queries = [...cursors.map(cursor => `cursor=${cursor}`), 'cursor=%00', 'limit=1e99', 'limit=-0', 'limit=0x10']
  const paths = [
    ['tasks', '/v1/tasks'],
    ['tasks', `/v1/tasks/${id}/participants`],
    ['tasks', `/v1/tasks/${id}/logs`],
    ['fleet', '/v1/devices'],
    ['fleet', '/v1/regions'],
    ['fleet', '/v1/regional-nodes'],
    ['fleet', `/v1/devices/${id}/participations`],
    ['deployments', '/v1/deployments'],
    ['deployments', `/v1/deployments/${id}/devices`],
  ] as const
  for (const [name, path] of paths) {
    for (const query of [...queries, 'round=217061231528', 'label=a=x%00y', 'prefix=%00', 'framework=%00']) {
      const { status, body } = await apis[name]('GET', path, { token, query })
      assert.ok([200, 400, 404].includes(status), `${path}?${query}: ${status} ${JSON.stringify(body)}`)
    }
  }
})
