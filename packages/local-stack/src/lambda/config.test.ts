import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readLambdaRunnerConfig } from './config.ts'

const least = {
  BUNDLES_DIR: '/bundles',
  LOG_DIR: '/log',
  TEMP_DIR: '/tmp/runner',
  API_LISTEN: '127.0.0.1:8085',
  INVOKE_LISTEN: '127.0.0.1:8089',
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'AKIDLOCAL',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AMQP_URL: 'amqp://user:password@127.0.0.1:5672',
  FUNCTION_ENVIRONMENT: JSON.stringify({
    common: { BUCKET: 'models', LOG_LEVEL: 'info' },
    functions: { relay: { AMQP_URL: 'amqp://here', LOG_LEVEL: 'debug' } },
  }),
}

test('a function gets the common variables and its own, which win', () => {
  const { environmentOf, apiListen, asyncRetrySeconds, prewarm } = readLambdaRunnerConfig(least)
  assert.deepEqual(environmentOf('tasks'), { BUCKET: 'models', LOG_LEVEL: 'info' })
  assert.deepEqual(environmentOf('relay'), { BUCKET: 'models', LOG_LEVEL: 'debug', AMQP_URL: 'amqp://here' })
  assert.deepEqual(apiListen, { host: '127.0.0.1', port: 8085 })
  assert.deepEqual(asyncRetrySeconds, [60, 120])
  assert.deepEqual(prewarm, [])
})

test('lists are comma-separated', () => {
  const set = readLambdaRunnerConfig({ ...least, PREWARM: 'tasks, relay', ASYNC_RETRY_SECONDS: '1,2.5' })
  assert.deepEqual(set.prewarm, ['tasks', 'relay'])
  assert.deepEqual(set.asyncRetrySeconds, [1, 2.5])
})

test('an environment that Lambda would not take is refused by name', () => {
  const functions = { relay: { LARGE: 'x'.repeat(4096) } }
  const FUNCTION_ENVIRONMENT = JSON.stringify({ common: {}, functions })
  assert.throws(() => readLambdaRunnerConfig({ ...least, FUNCTION_ENVIRONMENT }), /relay: 4101 bytes/)
  const allowed = JSON.stringify({ common: { AWS_SESSION_TOKEN: 'x'.repeat(5000) } })
  assert.doesNotThrow(() => readLambdaRunnerConfig({ ...least, FUNCTION_ENVIRONMENT: allowed }))
})
