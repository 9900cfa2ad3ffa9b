import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { routes } from '@tributary/contracts/routes'
import { apiFunctions, type Route } from '@tributary/contracts/routes/route'
import { routeMatcher } from './match-route.ts'

const id = '01890a5d-ac96-774b-bcce-b302099a8057'
const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof TributaryError) return error.code
    throw error
  }
  return 'none'
}

test('finds every route of the table by its method and path, in its own function only', () => {
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    const path = route.path.replace(/\{\w+\}/g, id)
    for (const functionName of apiFunctions) {
      const match = routeMatcher(functionName)
      if (functionName === route.function) assert.equal(match(route.method, path).name, name)
      else
        assert.notEqual(
          codeOf(() => match(route.method, path)),
          'none',
        )
    }
  }
})

test('decodes parameters and names them as the table does', () => {
  const match = routeMatcher('models')
  const { name, params } = match('GET', `/v1/models/${id}/versions/a%2Fb`)
  assert.equal(name, 'getVersion')
  assert.deepEqual(params, { model: id, version: 'a/b' })
})

test('knows no route with a trailing slash, an empty segment, another case or a dot segment', () => {
  const match = routeMatcher('models')
  for (const path of [
    '/v1/models/',
    '/v1//models',
    '/V1/models',
    '/v1/models/./x/y/z',
    '/',
    '',
    '/v1/models/../models/x',
  ]) {
    assert.equal(
      codeOf(() => match('GET', path)),
      'ROUTE_UNKNOWN',
      path,
    )
  }
})

test('tells which methods a path takes when it takes another', () => {
  try {
    routeMatcher('models')('DELETE', '/v1/models')
    assert.fail('must be refused')
  } catch (error) {
    assert.ok(error instanceof TributaryError)
    assert.equal(error.code, 'METHOD_NOT_ALLOWED')
    assert.deepEqual(error.extra, { allow: ['POST', 'GET'] })
  }
})

test('refuses broken percent-encoding as an id', () => {
  assert.equal(
    codeOf(() => routeMatcher('models')('GET', '/v1/models/%E0%A4%A')),
    'ID_INVALID',
  )
})
