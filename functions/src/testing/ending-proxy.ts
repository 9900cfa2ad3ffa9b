import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** ReadyForQuery, idle: the end of what a server says before the first statement (Postgres 17, 53.7). */
const ready = Buffer.from('5a0000000549', 'hex')

const shutdown = (): Buffer => {
  const fields = Buffer.from('SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0')
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeUInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

/** In front of a Postgres: answers the first statement of each of its first connections as a server that shuts down does. */
export const startEndingProxy = async (port: number, connections: number) => {
  let ended = 0
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1')
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.end()
      })
    }
    let started = false
    upstream.on('data', (data: Buffer) => {
      started ||= data.subarray(-ready.length).equals(ready)
      client.write(data)
    })
    client.on('data', (data: Buffer) => {
      if (!started || ended === connections) return void upstream.write(data)
      ended += 1
      upstream.destroy()
      client.end(shutdown())
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    /** Connections that were ended so far. */
    ended: () => ended,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
