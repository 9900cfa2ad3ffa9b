import { aborted, endWithParent } from '../../processes/end-with-parent.ts'
import { openBroker } from './broker.ts'
import { readConfig } from './config.ts'
import { listen } from './listeners.ts'
import { RevocationList } from './revocation-list.ts'

const signal = endWithParent()
const config = readConfig()
using revoked = new RevocationList(config.MQTT_REVOKED_FILE, () => broker.dropRevoked())
await revoked.open()
const broker = await openBroker(fingerprint => revoked.has(fingerprint))
const listeners = await listen(broker, config)
console.log('listening')
await aborted(signal)
// The broker first: it ends the connections that the listeners wait for.
await broker[Symbol.asyncDispose]()
await listeners[Symbol.asyncDispose]()
