import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiKeyHint, isApiKey, newApiKey } from './api-key-text.ts'

test('a key has 52 random and 6 check symbols behind its prefix, and no two are equal', () => {
  const keys = Array.from({ length: 1000 }, newApiKey)
  for (const key of keys) assert.match(key, /^trib_[0-9a-hjkmnp-tv-z]{58}$/)
  assert.equal(new Set(keys).size, keys.length)
  // 52 000 symbols over 32: each about 1625 times; 1300 is eight standard deviations away.
  const counts = Map.groupBy(
    keys.flatMap(key => key.slice(5, -6).split('')),
    symbol => symbol,
  )
  assert.equal(counts.size, 32)
  for (const [symbol, found] of counts) assert.ok(found.length > 1300 && found.length < 1950, symbol)
})

test('the check symbols are CRC-32 (IEEE) of the secret, five bits a symbol from the lowest on', () => {
  // crc32('0' × 52) is 0x71550ccf by the reference implementation of zlib in Python.
  assert.equal(isApiKey(`trib_${'0'.repeat(52)}f63anr`), true)
})

test('a key with one symbol changed is none, nor is anything else', () => {
  const key = newApiKey()
  assert.equal(isApiKey(key), true)
  for (let at = 0; at < key.length; at += 1) {
    const other = key[at] === 'a' ? 'b' : 'a'
    assert.equal(isApiKey(key.slice(0, at) + other + key.slice(at + 1)), false, `${at}`)
  }
  for (const text of ['', 'trib_', `${key}0`, key.slice(0, -1), key.toUpperCase(), ` ${key}`]) {
    assert.equal(isApiKey(text), false, text)
  }
  assert.equal(apiKeyHint(key), key.slice(0, 11))
})
