import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { until } from '../testing/manual-clock.ts'
import { type ConnectionLimits, ConnectionListener } from './connection-listener.ts'

const open = async (limits: ConnectionLimits) => {
  const handedOn: { readonly socket: Socket; readonly said: string }[] = []
  const listener = new ConnectionListener(limits, socket => {
    handedOn.push({ socket, said: `${socket.read()}` })
    socket.resume()
  })
  const port = await listener.listen({ host: '127.0.0.1', port: 0 })
  const clients: Socket[] = []
  const connected = async (): Promise<Socket> => {
    const client = connect(port, '127.0.0.1').on('error', () => {})
    clients.push(client)
    client.resume()
    await once(client, 'connect')
    return client
  }
  const close = async () => {
    for (const client of clients) client.destroy()
    await listener.close(AbortSignal.abort())
  }
  return { listener, handedOn, connected, [Symbol.asyncDispose]: close }
}
const closed = (client: Socket) => client.closed || once(client, 'close', { signal: AbortSignal.timeout(30_000) })

test('a connection is handed on once it spoke, with what it said', async () => {
  await using opened = await open({ mostConnections: 10 })
  const { listener, handedOn, connected } = opened
  const [silent, client] = [await connected(), await connected()]
  client.write('hello')
  await until(() => handedOn.length > 0)
  assert.deepEqual([handedOn.map(({ said }) => said), listener.connections], [['hello'], 2])
  silent.destroy()
  client.destroy()
  await until(() => listener.connections === 0)
  assert.equal(handedOn.length, 1)
})

test('a connection that says nothing is cut, one that ends without a word as well', async () => {
  await using opened = await open({ mostConnections: 10, silentMillis: 50 })
  const { listener, handedOn, connected } = opened
  await closed(await connected())
  const ended = await connected()
  ended.end()
  await closed(ended)
  await until(() => listener.connections === 0)
  assert.equal(handedOn.length, 0)
})

test('connections beyond the most are refused until one of them ends', async () => {
  await using opened = await open({ mostConnections: 2 })
  const { listener, handedOn, connected } = opened
  const [first, second] = [await connected(), await connected()]
  first.write('1')
  second.write('2')
  await until(() => handedOn.length === 2)
  await closed(await connected())
  assert.deepEqual([handedOn.length, listener.connections], [2, 2])
  first.destroy()
  await until(() => listener.connections === 1)
  const third = await connected()
  third.write('3')
  await until(() => handedOn.length === 3)
})

test('a listener that closes takes nobody, lets the others go on, and cuts them at the deadline', async () => {
  await using opened = await open({ mostConnections: 10 })
  const { listener, handedOn, connected } = opened
  const [client, leaving] = [await connected(), await connected()]
  client.write('here')
  leaving.write('here')
  await until(() => handedOn.length === 2)
  const deadline = new AbortController()
  const closing = listener.close(deadline.signal)
  await assert.rejects(connected(), { code: 'ECONNREFUSED' })
  for (const { socket } of handedOn) socket.write('still')
  assert.equal(`${(await once(client, 'data'))[0]}`, 'still')
  leaving.end()
  await until(() => listener.connections === 1)
  deadline.abort()
  await closing
  await closed(client)
  assert.equal(listener.connections, 0)
})
