import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'mqtt'
import { aborted, endWithParent } from '../../processes/end-with-parent.ts'
import { readConfig } from './config.ts'
import { handlePublish } from './publish.ts'

const signal = endWithParent()
const config = readConfig()
const credentials = { accessKeyId: config.IOT_DATA_ACCESS_KEY_ID, secretAccessKey: config.IOT_DATA_SECRET_ACCESS_KEY }
const broker = connect(config.IOT_DATA_MQTT_URL, {
  clientId: config.IOT_DATA_CLIENT_ID,
  ca: await readFile(config.IOT_DATA_CA_FILE),
  cert: await readFile(config.IOT_DATA_CERTIFICATE_FILE),
  key: await readFile(config.IOT_DATA_KEY_FILE),
  // One client of one broker on this machine: no herd that a longer or random pause would spread.
  reconnectPeriod: 500,
  queueQoSZero: false,
})
broker.on('error', error => console.error(`MQTT: ${error.message}`))
broker.once('connect', () => server.listen(config.IOT_DATA_PORT, config.IOT_DATA_HOST, () => console.log('listening')))
const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
  void handlePublish(request, response, broker, credentials)
})
server.maxConnections = 1000
await aborted(signal)
server.closeAllConnections()
if (server.listening) server.close()
await broker.endAsync(true)
