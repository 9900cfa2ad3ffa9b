import { aborted, endWithParent } from '../../processes/end-with-parent.ts'
import { Buckets } from './buckets.ts'
import { readConfig } from './config.ts'
import { createStorageServer } from './server.ts'

const signal = endWithParent()
const config = readConfig()
const buckets = await Buckets.open(config.OBJECT_STORAGE_FOLDER, config.OBJECT_STORAGE_BUCKETS)
const server = createStorageServer(buckets, config)
server.listen(config.OBJECT_STORAGE_PORT, config.OBJECT_STORAGE_HOST, () => console.log('listening'))
await aborted(signal)
server.close()
server.closeAllConnections()
