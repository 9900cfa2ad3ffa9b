import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalJson } from './canonical-json.ts'
import { chainHash, genesisHash } from './chain.ts'

test('writes members in code-unit order, whatever order they came in', () => {
  assert.equal(
    canonicalJson({ b: [1, { d: null, c: 'é' }], a: true, Z: undefined }),
    '{"a":true,"b":[1,{"c":"é","d":null}]}',
  )
})

test('hashes the previous hash and the canonical row', () => {
  const row = {
    sequence: 1,
    time: '2026-01-02T03:04:05.678Z',
    actor: 'token:ci',
    action: 'region.created',
    subject: 'region/alps',
    detail: { shardCount: 2 },
  }
  // printf of 32 zero bytes and the JSON text through `sha256sum`.
  assert.equal(
    chainHash(genesisHash, row).toString('hex'),
    '141f0e4c9f4b8f32a901613ea05fc7c5757a49ebaed0df363807517b1ff31d5b',
  )
})
