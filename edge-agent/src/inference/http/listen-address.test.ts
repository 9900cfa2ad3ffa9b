import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLoopback, namesLoopback, readListenAddress } from './listen-address.ts'

test('host and port are read, IPv6 in brackets', () => {
  assert.deepEqual(readListenAddress('localhost:8470'), { host: 'localhost', port: 8470 })
  assert.deepEqual(readListenAddress('[::1]:0'), { host: '::1', port: 0 })
  for (const wrong of ['8470', 'localhost', 'localhost:70000', '::1:80', 'a b:1', '', 'http://x:1']) {
    assert.equal(readListenAddress(wrong), undefined, wrong)
  }
})

test('loopback is what only this device reaches', () => {
  assert.deepEqual(['localhost', '127.0.0.1', '127.9.9.9', '::1'].map(isLoopback), [true, true, true, true])
  assert.deepEqual(
    ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.org', '127.example.org', '1270.0.0.1'].map(isLoopback),
    [false, false, false, false, false, false],
  )
})

test('a Host header that names another site is none of this device', () => {
  assert.deepEqual(['localhost:8470', 'LOCALHOST', '127.0.0.1:1', '[::1]:8470'].map(namesLoopback), Array(4).fill(true))
  assert.deepEqual(
    ['evil.example:8470', 'localhost.evil.example', '127.0.0.1.nip.io', '', undefined].map(namesLoopback),
    Array(5).fill(false),
  )
})
