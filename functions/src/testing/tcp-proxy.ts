import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A connection in between that a test can cut, or leave open and silent as a dead network does. */
export const startTcpProxy = async (port: number) => {
  const pairs = new Set<readonly [Socket, Socket]>()
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1')
    const pair = [client, upstream] as const
    pairs.add(pair)
    client.pipe(upstream).pipe(client)
    for (const socket of pair) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        pairs.delete(pair)
        for (const other of pair) other.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => pairs.size,
    cut: () => {
      for (const pair of pairs) for (const socket of pair) socket.destroy()
    },
    /** What is connected now passes nothing on any more; later connections do. */
    silence: () => {
      for (const pair of pairs) {
        for (const socket of pair) {
          socket.unpipe()
          socket.pause()
        }
      }
    },
    async [Symbol.asyncDispose]() {
      for (const pair of pairs) for (const socket of pair) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
