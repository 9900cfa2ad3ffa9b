import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { before, suite, test } from 'node:test'
import type { DeviceCommand, DeviceNotice } from '@tributary/contracts/topics'
import { pino } from 'pino'
import { TestAuthority } from '../testing/certificates.ts'
import { device, identityOf } from '../testing/federation.ts'
import { TestBroker } from '../testing/test-broker.ts'
import { brokerAddress, brokerOptions } from './broker-options.ts'
import type { Identity } from './identity.ts'
import { Notices } from './notices.ts'
import { probeBroker } from './probe-broker.ts'

suite('the line to the broker', () => {
  let authority: TestAuthority
  let identity: Identity

  before(async () => {
    authority = await TestAuthority.create()
    identity = await identityOf(authority)
  })

  const startBroker = async () => TestBroker.start(authority)

  const open = (url: string) => {
    const events = new EventEmitter()
    const controller = new AbortController()
    const onNotice = (notice: DeviceNotice) => events.emit('notice', notice)
    const onCommand = (command: DeviceCommand) => events.emit('command', command)
    const notices = new Notices({
      url,
      alpn: 'x-amzn-mqtt-ca',
      identity,
      onNotice,
      onCommand,
      log: pino({ level: 'silent' }),
    })
    const ended = notices.run(controller.signal)
    const close = async () => {
      controller.abort()
      await ended
    }
    return { events, notices, close, [Symbol.asyncDispose]: close }
  }

  test('says what the device does, retained, and says goodbye', async () => {
    await using broker = await startBroker()
    await using line = open(broker.url)
    assert.deepEqual(await broker.status(), { state: 'idle', retain: true })
    const training = broker.status()
    line.notices.setStatus({ state: 'training' })
    assert.equal((await training).state, 'training')
    const goodbye = broker.status()
    await line.close()
    assert.deepEqual(await goodbye, { state: 'offline', retain: true })
  })

  test('hands on notices of its own topics, and nothing that is none', async () => {
    await using broker = await startBroker()
    await using line = open(broker.url)
    await broker.status()
    const notice = once(line.events, 'notice')
    for (const junk of ['', 'not json', '{"kind":"run-this"}', `{"kind":"work","more":"${'x'.repeat(2000)}"}`]) {
      broker.publish(`fl/v1/d/${device}/down/work`, junk)
    }
    broker.publish(`fl/v1/d/${device}/down/settled`, '{"kind":"settled"}')
    assert.deepEqual(await notice, [{ kind: 'settled' }])
  })

  test('hands on commands of their own topic, and answers the one for its status at once', async () => {
    await using broker = await startBroker()
    await using line = open(broker.url)
    await broker.status()
    const commands: DeviceCommand[] = []
    line.events.on('command', command => commands.push(command))
    const heard = once(line.events, 'notice')
    for (const junk of ['{"kind":"rm"}', '{}', `{"kind":"check-in","more":"${'x'.repeat(2000)}"}`]) {
      broker.publish(`fl/v1/d/${device}/down/command`, junk)
    }
    // A command on the topic of notices is none, and the other way round.
    broker.publish(`fl/v1/d/${device}/down/work`, '{"kind":"check-in"}')
    broker.publish(`fl/v1/d/${device}/down/command`, '{"kind":"work"}')
    broker.publish(`fl/v1/d/${device}/down/command`, '{"kind":"check-in"}')
    const status = broker.status()
    broker.publish(`fl/v1/d/${device}/down/command`, '{"kind":"send-status"}')
    assert.deepEqual(await status, { state: 'idle', retain: true })
    broker.publish(`fl/v1/d/${device}/down/work`, '{"kind":"work"}')
    await heard
    assert.deepEqual(commands, [{ kind: 'check-in' }, { kind: 'send-status' }])
  })

  test('comes back after the connection is cut, with what the device does by then', async () => {
    await using broker = await startBroker()
    await using line = open(broker.url)
    await broker.status()
    broker.cut()
    const will = await broker.status()
    assert.deepEqual(will, { state: 'offline', retain: true }, 'the last will')
    line.notices.setStatus({ state: 'evaluating' })
    assert.equal((await broker.status()).state, 'evaluating')
  })

  test('waits for a broker that is not there, and stops waiting when told', async () => {
    await using broker = await startBroker()
    const { url } = broker
    await broker[Symbol.asyncDispose]()
    const line = open(url)
    await line.close()
  })

  test('a probe says whether the broker takes this device, and on port 443 asks for it by ALPN', async () => {
    await using broker = await startBroker()
    const address = brokerAddress(broker.url, 'x-amzn-mqtt-ca')
    const signal = AbortSignal.timeout(60_000)
    await probeBroker(address, identity, signal)
    const stranger = await identityOf(await TestAuthority.create())
    await assert.rejects(probeBroker(address, { ...stranger, authority: identity.authority }, signal))
    await assert.rejects(probeBroker(address, stranger, signal), /certificate/)
    assert.equal(brokerAddress('mqtts://broker', 'any').port, 8883)
    const web = brokerAddress('mqtts://broker.example:443', 'mqtt')
    assert.deepEqual(brokerOptions(web, identity, 1).ALPNProtocols, ['mqtt'])
    assert.equal(brokerOptions(address, identity, 1).ALPNProtocols, undefined)
  })
})
