import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { apiTokenVerifier } from './api-tokens.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

test('finds the holder of a token by its hash alone', () => {
  const verify = apiTokenVerifier([
    { name: 'a', role: 'viewer', sha256: sha256('token-a') },
    { name: 'b', role: 'admin', sha256: sha256('token-b') },
  ])
  assert.deepEqual(verify('token-b'), { kind: 'token', name: 'b', role: 'admin' })
  assert.deepEqual(verify('token-a'), { kind: 'token', name: 'a', role: 'viewer' })
  for (const wrong of ['token-c', sha256('token-a'), 'token-a ', '']) assert.equal(verify(wrong), null)
})
