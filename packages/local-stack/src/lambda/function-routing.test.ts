import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchRoute } from './function-routing.ts'

test('a request goes to the function of its route, with the parameters of the path', () => {
  assert.deepEqual(matchRoute('POST', '/v1/tasks/a%20b/cancel'), {
    function: 'tasks',
    routeKey: 'POST /v1/tasks/{task}/cancel',
    pathParameters: { task: 'a b' },
  })
  assert.deepEqual(matchRoute('GET', '/v1/health'), {
    function: 'health',
    routeKey: 'GET /v1/health',
    pathParameters: undefined,
  })
})

for (const [method, path, name] of [
  ['DELETE', '/v1/tasks', 'tasks'],
  ['GET', '/v1/models/1/versions/2/nothing', 'models'],
  ['PUT', '/v1/regional-nodes/1/status', 'regional-nodes'],
  ['GET', '/v1/regional-nodes/1/nothing', 'regional-nodes'],
  ['GET', '/v1/devices/../../etc', 'fleet'],
  ['GET', '/v1/', 'health'],
  ['GET', '/v2/tasks', 'health'],
  ['GET', '/', 'health'],
  ['OPTIONS', '*', 'health'],
  ['GET', '/v1/tasks/', 'tasks'],
] as const) {
  test(`${method} ${path} has no route, so ${name} answers that`, () => {
    const match = matchRoute(method, path)
    assert.equal(match.routeKey, '$default')
    // Several functions share a prefix such as /v1/regional-nodes; any of them can refuse.
    assert.ok(match.function === name || (name === 'regional-nodes' && match.function === 'fleet'))
  })
}
