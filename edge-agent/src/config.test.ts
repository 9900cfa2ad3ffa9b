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

test('predictions are off unless an address is set, and one beyond this device needs a token', () => {
  const inference = (more: Record<string, string>) => readConfig({ ...environment, ...more }).inference
  assert.deepEqual([inference({}).address, inference({}).maxBatch], [undefined, 16])
  const address = { host: '127.0.0.1', port: 8470 }
  assert.deepEqual(inference({ INFERENCE_LISTEN: '127.0.0.1:8470' }).address, address)
  const open = { INFERENCE_LISTEN: '0.0.0.0:8470' }
  assert.throws(() => inference(open), /INFERENCE_TOKEN_FILE: is not set: whoever reaches/)
  assert.equal(inference({ ...open, INFERENCE_TOKEN_FILE: 'token' }).tokenFile, 'token')
  assert.throws(() => inference({ INFERENCE_LISTEN: '8470' }), /INFERENCE_LISTEN: not host:port/)
})
