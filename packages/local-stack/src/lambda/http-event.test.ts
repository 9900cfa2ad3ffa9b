import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { splitTarget } from './http-event.ts'

test('a request target is split into path and raw query, whatever its form', () => {
  assert.deepEqual(splitTarget('/v1/tasks?a=1?2'), { path: '/v1/tasks', query: 'a=1?2' })
  assert.deepEqual(splitTarget('http://host:1/v1?x'), { path: '/v1', query: 'x' })
  assert.deepEqual(splitTarget('http://host'), { path: '/', query: '' })
  assert.deepEqual(splitTarget('//evil/v1'), { path: '//evil/v1', query: '' })
  assert.deepEqual(splitTarget('*'), { path: '*', query: '' })
})

test('nothing of an origin-form target is lost or added', () => {
  fc.assert(
    fc.property(fc.webPath(), fc.webQueryParameters(), (path, query) => {
      const target = `/${path}?${query}`
      assert.deepEqual(splitTarget(target), { path: `/${path}`, query })
    }),
  )
})
