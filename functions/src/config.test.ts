import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, readConfig } from './config.ts'

const complete = {
  DATABASE_URL: 'postgres://u:p@127.0.0.1:5432/db',
  BUCKET: 'models',
  API_TOKENS: JSON.stringify([{ name: 'ci', role: 'operator', sha256: 'a'.repeat(64) }]),
}

test('reads the sections that were asked for, with defaults', () => {
  const config = readConfig(['database', 'objectStorage', 'log', 'apiTokens'], complete)
  assert.equal(config.database.DATABASE_URL, complete.DATABASE_URL)
  assert.deepEqual(config.objectStorage, { BUCKET: 'models', OBJECT_STORAGE_PATH_STYLE: false })
  assert.equal(config.log.LOG_LEVEL, 'info')
  assert.deepEqual(config.apiTokens.API_TOKENS, [{ name: 'ci', role: 'operator', sha256: 'a'.repeat(64) }])
})

test('lists every fault at once and never a value', () => {
  const wrong = { DATABASE_URL: 'mysql://secret', API_TOKENS: '[{"token":"secret"}]' }
  assert.throws(
    () => readConfig(['database', 'objectStorage', 'apiTokens'], wrong),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError)
      for (const name of ['DATABASE_URL', 'BUCKET', 'API_TOKENS']) assert.match(error.message, new RegExp(name))
      assert.doesNotMatch(error.message, /secret/)
      return true
    },
  )
})

test('refuses API_TOKENS that are not JSON', () => {
  assert.throws(() => readConfig(['apiTokens'], { API_TOKENS: '{' }), /API_TOKENS: is not JSON/)
})
