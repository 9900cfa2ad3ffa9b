import { createServer, type Socket } from 'node:net'
import { aborted, endWithParent } from '../../processes/end-with-parent.ts'
import { readConfig } from './config.ts'
import { serveConnection } from './connection.ts'
import { Store } from './store.ts'

const signal = endWithParent()
const config = readConfig()
const store = new Store(config.MEMORY_REDIS_MAX_KEYS)
const sockets = new Set<Socket>()
const server = createServer(socket => {
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
  serveConnection(socket, store, config.MEMORY_REDIS_PASSWORD)
})
server.maxConnections = 1000
server.listen(config.MEMORY_REDIS_PORT, config.MEMORY_REDIS_HOST, () => console.log('listening'))
await aborted(signal)
server.close()
for (const socket of sockets) socket.destroy()
