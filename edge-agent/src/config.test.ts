import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, readConfig } from './config.ts'

const environment = {
  AGENT_CERT_FILE: 'cert.pem',
  AGENT_KEY_FILE: 'key.pem',
  AUTHORITY_CERT_FILE: 'ca.pem',
  NODE_ENDPOINTS: 'localhost:7001, 127.0.0.1:7002',
  MQTT_URL: 'mqtts://localhost:1883',
  DATA_DIR: 'data',
  STATE_DIR: 'state',
}

test('reads the environment, with defaults for limits', () => {
  const config = readConfig(environment)
  assert.deepEqual(config.endpoints, ['localhost:7001', '127.0.0.1:7002'])
  assert.deepEqual([config.centralUrl, config.networkMetered], [undefined, false])
  const more = readConfig({ ...environment, CENTRAL_URL: 'https://central.example/', NETWORK_METERED: 'true' })
  assert.deepEqual([more.centralUrl, more.networkMetered], ['https://central.example', true])
  assert.deepEqual([config.log.level, config.maxModelBytes, config.trainerIdleSeconds], ['info', 2 ** 31, 15])
})

test('lists every fault at once', () => {
  const { DATA_DIR: _, ...rest } = environment
  const bad = { ...rest, MQTT_URL: 'mqtt://localhost:1883', NODE_ENDPOINTS: 'localhost', MAX_MODEL_BYTES: 'lots' }
  assert.throws(
    () => readConfig(bad),
    (error: Error) => {
      assert.ok(error instanceof ConfigError)
      for (const name of [
        'DATA_DIR: is not set',
        'MQTT_URL: must be',
        'NODE_ENDPOINTS.0: not host:port',
        'MAX_MODEL_BYTES',
      ]) {
        assert.ok(error.message.includes(name), error.message)
      }
      return true
    },
  )
})
