import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { type LinkFault, TcpProxy } from './tcp-proxy.ts'

/** A server that says back what it hears, behind a link. */
const echo = async () => {
  await using opening = new AsyncDisposableStack()
  const server = createServer(socket => void socket.on('error', () => {}).pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  opening.defer(() => void server.close())
  const link = opening.use(await TcpProxy.open((server.address() as AddressInfo).port))
  const owned = opening.move()
  /** Sends, and hears until so many bytes came back or the connection ended. */
  const say = async (text: string, bytes = text.length): Promise<string> => {
    const socket = connect(link.port, '127.0.0.1')
    try {
      let heard = ''
      socket.setEncoding('latin1').write(text)
      for await (const part of socket) {
        heard += part as string
        if (heard.length >= bytes) break
      }
      return heard
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'ECONNRESET')
      return ''
    } finally {
      socket.destroy()
    }
  }
  return { link, say, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const cases: readonly { fault: LinkFault; passed: number; faults: number }[] = [
  { fault: { kind: 'delay', millis: 1 }, passed: 6, faults: 2 },
  { fault: { kind: 'slow', bytesPerSecond: 1e6 }, passed: 6, faults: 2 },
  // The same bit there and back, so that what comes back is right again.
  { fault: { kind: 'corrupt', atByte: 2 }, passed: 6, faults: 2 },
  { fault: { kind: 'corrupt', atByte: 100 }, passed: 6, faults: 0 },
]
for (const { fault, passed, faults } of cases) {
  test(`a link with ${JSON.stringify(fault)} suffers it ${faults} times there and back`, async () => {
    await using place = await echo()
    place.link.fault = fault
    assert.equal(await place.say('abcdef'), 'abcdef')
    assert.deepEqual([place.link.passed, place.link.faults], [{ client: passed, server: passed }, faults])
  })
}

test('a link that corrupts changes one bit of one byte', async () => {
  await using place = await echo()
  place.link.fault = { kind: 'corrupt', atByte: 2 }
  const heard = place.say('abcdef')
  while (place.link.faults === 0) await new Promise(setImmediate)
  // On the way back all is well.
  place.link.fault = undefined
  assert.equal(await heard, 'absdef')
})

test('a link that duplicates passes what comes at that byte twice', async () => {
  await using place = await echo()
  place.link.fault = { kind: 'duplicate', atByte: 2 }
  const heard = await place.say('abcdef', 10)
  assert.ok(heard.startsWith('abcdefcdef'), heard)
  assert.equal(place.link.passed.server, 10)
})

test('a link that is cut passes what is before the cut, and ends; the next connection, too', async () => {
  await using place = await echo()
  place.link.fault = { kind: 'cut', atByte: 4 }
  for (let i = 0; i < 2; i += 1) assert.ok('abcd'.startsWith(await place.say('abcdef')))
  assert.ok(place.link.faults >= 2)
  assert.equal(place.link.passed.server, 8)
  place.link.fault = undefined
  assert.equal(await place.say('abcdef'), 'abcdef')
})

test('a link of one way takes all and gives nothing; once it is whole, new connections are', async () => {
  await using place = await echo()
  place.link.fault = { kind: 'one-way', deaf: 'client' }
  const heard = place.say('abcdef')
  while (place.link.faults === 0) await new Promise(setImmediate)
  assert.deepEqual(place.link.passed, { client: 0, server: 6 })
  place.link.fault = undefined
  assert.equal(await place.say('abcdef'), 'abcdef')
  place.link.cut()
  assert.equal(await heard, '')
  assert.equal(await place.say('abcdef'), 'abcdef')
})
