import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestAuthority } from '../testing/certificates.ts'
import { identityOf } from '../testing/federation.ts'
import { Endpoints } from './endpoints.ts'

const open = async () => new Endpoints(['a:1', 'b:2'], await identityOf(await TestAuthority.create()))

test('a failing contact makes place for the next one, round and round', async () => {
  using endpoints = await open()
  const seen = [0, 1, 2].map(() => {
    const { endpoint } = endpoints
    endpoints.failed()
    return endpoint
  })
  assert.deepEqual(seen, ['a:1', 'b:2', 'a:1'])
})

test('a redirect holds until its node fails, then the contacts count again', async () => {
  using endpoints = await open()
  assert.equal(endpoints.redirect('c:3'), true)
  assert.equal(endpoints.endpoint, 'c:3')
  endpoints.failed()
  assert.equal(endpoints.endpoint, 'a:1')
})

test('a redirect to nowhere or to something that is no address changes nothing', async () => {
  using endpoints = await open()
  for (const junk of ['', 'a:1', 'unix:/tmp/x', 'dns:///evil', 'x'.repeat(300), 'a:1\nb'])
    assert.equal(endpoints.redirect(junk), false)
  assert.equal(endpoints.endpoint, 'a:1')
})

test('connections are kept for reuse, a few at most', async () => {
  using endpoints = await open()
  const first = endpoints.client()
  assert.equal(endpoints.client(), first)
  for (const other of ['c:3', 'd:4', 'e:5', 'f:6']) {
    endpoints.redirect(other)
    endpoints.client()
  }
  endpoints.failed()
  assert.notEqual(endpoints.client(), first)
})

test('a connection on which a call failed is not used again', async () => {
  using endpoints = await open()
  const first = endpoints.client()
  // Twice: both contacts have had their turn.
  for (let i = 0; i < 2; i += 1) endpoints.failed()
  assert.equal(endpoints.client().endpoint, first.endpoint)
  assert.notEqual(endpoints.client(), first)
  assert.equal(endpoints.client(), endpoints.client())
})
