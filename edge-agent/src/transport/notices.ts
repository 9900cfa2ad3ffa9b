import { setTimeout as delay } from 'node:timers/promises'
import {
  DeviceCommand,
  type DeviceNotice,
  DeviceNotice as DeviceNoticeSchema,
  type DeviceStatus,
  deviceTopics,
  maxNoticeBytes,
  parseDownTopic,
} from '@tributary/contracts/topics'
import { connect, type MqttClient } from 'mqtt'
import type { Logger } from 'pino'
import { Backoff } from './backoff.ts'
import { brokerAddress, brokerOptions } from './broker-options.ts'
import { explainTimes } from './certificate-times.ts'
import type { Identity } from './identity.ts'

const connectMillis = 10_000
const goodbyeMillis = 1_000
/** A connection that lived so long makes the next wait short again. */
const settledMillis = 30_000
/** A command that comes sooner after another of its kind is left to that one: nobody floods the log, or has the device flood the broker. */
const commandGapMillis = 1_000

export type NoticesOptions = {
  readonly url: string
  /** Asked for where the broker is on port 443. */
  readonly alpn: string
  readonly identity: Identity
  readonly onNotice: (notice: DeviceNotice) => void
  /** A wish of an operator; the answer to `send-status` is given here already. */
  readonly onCommand: (command: DeviceCommand) => void
  readonly log: Logger
}

/**
 * The line to the broker: hints from the node, presence of the device. Losing it costs speed, never work, since the agent
 * also polls. The client id is the device id; two agents with one identity would throw each other out, so the wait
 * before a reconnect is jittered and grows also when connecting itself succeeds.
 */
export class Notices {
  readonly #options: NoticesOptions
  #identity: Identity
  #status: DeviceStatus = { state: 'idle' }
  #client: MqttClient | undefined
  readonly #obeyedAt = new Map<DeviceCommand['kind'], number>()

  constructor(options: NoticesOptions) {
    this.#options = options
    this.#identity = options.identity
  }

  get connected(): boolean {
    return this.#client?.connected === true
  }

  /** Publishes the device's presence, retained; at once, or when the broker is reached. */
  setStatus(status: DeviceStatus): void {
    this.#status = status
    if (this.#client?.connected)
      this.#publish(this.#client, status).catch(error =>
        this.#options.log.debug({ err: error }, 'presence not published'),
      )
  }

  /** Sessions that begin from now on show this certificate; the one that runs goes on. */
  useIdentity(identity: Identity): void {
    this.#identity = identity
  }

  /** Keeps the line up until the signal aborts, then says goodbye. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#options
    const backoff = new Backoff()
    while (!signal.aborted) {
      const started = performance.now()
      try {
        await this.#session(signal)
      } catch (error) {
        const clock = explainTimes(error, this.#identity.certificate, new Date())
        log.warn({ err: error }, clock ?? 'no line to the broker; polling goes on')
      }
      if (performance.now() - started > settledMillis) backoff.reset()
      await delay(backoff.next(), undefined, { signal }).catch(() => {})
    }
  }

  async #session(signal: AbortSignal): Promise<void> {
    const { url, alpn, log } = this.#options
    const identity = this.#identity
    const { device } = identity
    const { promise: over, resolve, reject } = Promise.withResolvers<void>()
    over.catch(() => {})
    const client = connect({
      ...brokerOptions(brokerAddress(url, alpn), identity, connectMillis),
      keepalive: 30,
      will: {
        topic: deviceTopics.up(device, 'status'),
        payload: Buffer.from('{"state":"offline"}'),
        qos: 1,
        retain: true,
      },
    })
    client.on('error', reject)
    client.on('close', () => reject(new Error('the broker closed the connection')))
    client.on('message', (topic, payload) => this.#receive(topic, payload))
    client.on('connect', () => {
      this.#client = client
      log.info('line to the broker is up')
      // The subscription first: whoever sees the device online may send notices at once.
      client
        .subscribeAsync(deviceTopics.allDown(device), { qos: 1 })
        .then(() => this.#publish(client, this.#status))
        .catch(reject)
    })
    const end = () => resolve()
    signal.addEventListener('abort', end, { once: true })
    try {
      await over
    } finally {
      signal.removeEventListener('abort', end)
      this.#client = undefined
      await this.#close(client)
    }
  }

  #publish(client: MqttClient, status: DeviceStatus): Promise<unknown> {
    const topic = deviceTopics.up(this.#identity.device, 'status')
    return client.publishAsync(topic, JSON.stringify(status), { qos: 1, retain: true })
  }

  // A clean disconnect keeps the last will from being sent, so offline is said first.
  async #close(client: MqttClient): Promise<void> {
    client.on('error', () => {})
    if (client.connected) {
      const goodbye = this.#publish(client, { state: 'offline' }).then(() => client.endAsync())
      await Promise.race([goodbye.catch(() => {}), delay(goodbyeMillis, undefined, { ref: false })])
    }
    client.end(true)
  }

  #receive(topic: string, payload: Buffer): void {
    const { log, onNotice, onCommand } = this.#options
    const kind = parseDownTopic(topic, this.#identity.device)
    const isCommand = kind === 'command'
    const json = kind === null || payload.byteLength > maxNoticeBytes ? undefined : parseJson(payload)
    const notice = isCommand ? undefined : DeviceNoticeSchema.safeParse(json).data
    const command = isCommand ? DeviceCommand.safeParse(json).data : undefined
    if (notice !== undefined) onNotice(notice)
    else if (command !== undefined) {
      const last = this.#obeyedAt.get(command.kind) ?? Number.NEGATIVE_INFINITY
      if (performance.now() - last < commandGapMillis) return
      this.#obeyedAt.set(command.kind, performance.now())
      if (command.kind === 'send-status') this.setStatus(this.#status)
      onCommand(command)
    } else
      log.debug({ topic: topic.slice(0, 200), bytes: payload.byteLength }, 'a message that is no notice was ignored')
  }
}

const parseJson = (payload: Buffer): unknown => {
  try {
    return JSON.parse(payload.toString('utf8')) as unknown
  } catch {
    return undefined
  }
}
