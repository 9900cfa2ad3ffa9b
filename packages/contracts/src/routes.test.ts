import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { functionSpecs } from './functions.ts'
import { apiFunctions, type Route, roles } from './routes/route.ts'
import { routes } from './routes.ts'

const table: [name: string, route: Route][] = Object.entries(routes)
const namesIn = (path: string) => [...path.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name)

test('method and path belong to one route, whatever its parameters are called', () => {
  const seen = new Map<string, string>()
  for (const [name, { method, path }] of table) {
    const key = `${method} ${path.replaceAll(/\{[^}]*\}/g, '{}')}`
    assert.equal(seen.get(key), undefined, `${name} and ${seen.get(key)}: ${key}`)
    seen.set(key, name)
  }
})

test('the parameters in a path are those of its schema', () => {
  for (const [name, { path, params, access }] of table) {
    assert.deepEqual(namesIn(path).sort(), Object.keys(params?.shape ?? {}).sort(), name)
    if (access.kind === 'certificate') assert.ok(namesIn(path).includes(access.pathParameter), name)
    assert.match(path, /^\/v1(\/([a-z][a-z.-]*|\{[a-z]+\}))+$/, name)
  }
})

test('whatever a person or a script changes takes an Idempotency-Key, nothing else does', () => {
  for (const [name, { method, access, idempotent }] of table) {
    assert.equal(idempotent, method !== 'GET' && access.kind === 'role', name)
  }
})

test('a route with a body says how large it may be, within what a Lambda function takes; GET has none', () => {
  for (const [name, { method, body, maxBodyBytes }] of table) {
    if (body !== undefined) assert.ok(maxBodyBytes > 0, name)
    if (method === 'GET') assert.deepEqual([body, maxBodyBytes], [undefined, 0], name)
    assert.ok(maxBodyBytes <= 6 * 1024 * 1024, name)
  }
})

test('nobody but a known role or the node itself changes anything', () => {
  const publicRoutes = table.filter(([, { access }]) => access.kind === 'public').map(([name]) => name)
  assert.deepEqual(publicRoutes, ['getHealth', 'getOpenApi', 'getDocs', 'enrolDevice'])
  assert.deepEqual([...roles], ['viewer', 'operator', 'admin'], 'rising')
  for (const [name, { method, access }] of table) {
    if (method !== 'GET' && access.kind === 'role') assert.notEqual(access.atLeast, 'viewer', name)
  }
})

test('every route is served by a function that is deployed, and every function serves one', () => {
  const deployed = functionSpecs.filter(({ trigger }) => trigger.kind === 'http').map(({ name }) => name)
  assert.deepEqual([...new Set(table.map(([, route]) => route.function as string))].sort(), [...apiFunctions].sort())
  assert.deepEqual(deployed.sort(), [...apiFunctions].sort())
  assert.equal(new Set(functionSpecs.map(({ name }) => name)).size, functionSpecs.length)
})

test('lists come in pages of 50, of 200 at most', () => {
  for (const [name, { query }] of table) {
    if (query === undefined || !('limit' in query.shape)) continue
    assert.equal((query.parse({}) as { limit: number }).limit, 50, name)
    assert.equal((query.parse({ limit: '200' }) as { limit: number }).limit, 200, name)
    for (const limit of ['0', '201', 'x', '1.5']) assert.equal(query.safeParse({ limit }).success, false, name)
    assert.equal(query.safeParse({ unknown: '1' }).success, false, name)
  }
})

test('bodies of people are strict: a misspelt field is refused', () => {
  for (const [name, { access, body }] of table) {
    if (access.kind !== 'role' || !(body instanceof z.ZodObject)) continue
    const { error } = body.safeParse({ misspelt: 1 })
    assert.ok(
      error?.issues.some(({ code }) => code === 'unrecognized_keys'),
      name,
    )
  }
})
