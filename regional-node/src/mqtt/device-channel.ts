import { DeviceNotice, DeviceStatus, deviceTopics, maxNoticeBytes, parseUpTopic } from '@tributary/contracts/topics'
import { connect, type MqttClient } from 'mqtt'
import { backoffMillis } from '../clock.ts'
import type { NoticeChannel } from '../devices/notice-channel.ts'
import type { NodeMetrics } from '../health/node-metrics.ts'
import type { NodeIdentity } from '../identity/node-identity.ts'
import type { Logger } from '../journal/logger.ts'

/** Notices that wait for the broker; a lost one costs a device its time until the next CheckIn. */
const mostInFlight = 1000

export type DeviceChannelEvents = {
  readonly onStatus: (device: string, status: DeviceStatus) => void
  /** The session is gone: presence that came over it is stale. */
  readonly onLost: () => void
}

/** The node's MQTT session: notices down to devices, presence and last wills up from them. Everything here is a hint. */
export class DeviceChannel implements NoticeChannel {
  readonly #client: MqttClient
  readonly #metrics: NodeMetrics
  readonly #logger: Logger
  #inFlight = 0

  constructor(
    url: string,
    identity: NodeIdentity,
    events: DeviceChannelEvents,
    { metrics, logger }: { metrics: NodeMetrics; logger: Logger },
  ) {
    this.#metrics = metrics
    this.#logger = logger
    const { certificate, key, authority } = identity.pem
    this.#client = connect(url, {
      clientId: identity.id,
      clean: true,
      keepalive: 15,
      connectTimeout: 10_000,
      reconnectPeriod: 1000,
      resubscribe: false,
      queueQoSZero: false,
      cert: certificate,
      key,
      ca: authority,
      rejectUnauthorized: true,
    })
    let tries = 0
    this.#client.on('connect', () => {
      this.#client.subscribe(deviceTopics.allUp, { qos: 1 }, error => {
        if (error) {
          logger.warn({ err: error }, 'presence of devices cannot be subscribed')
          // Where the broker refused, a new session is tried; where the session is gone, it comes by itself.
          if (this.#client.connected && !this.#client.disconnecting) this.#client.stream.destroy()
        } else tries = 0
      })
    })
    // A broker that accepts and drops at once must not be asked in a tight loop either.
    this.#client.on('close', () => {
      this.#client.options.reconnectPeriod = backoffMillis(tries, 200, 10_000)
      tries += 1
      events.onLost()
    })
    this.#client.on('error', error => logger.warn({ err: error }, 'the MQTT session failed'))
    this.#client.on('message', (topic, payload) => {
      const up = parseUpTopic(topic)
      if (up?.kind !== 'status' || payload.byteLength > maxNoticeBytes) return this.#ignore(topic)
      const status = parseStatus(payload)
      if (status === null) return this.#ignore(topic)
      events.onStatus(up.device, status)
    })
  }

  get isConnected(): boolean {
    return this.#client.connected
  }

  /** Sessions that begin from now on show this certificate; the one that runs goes on. */
  useIdentity({ pem }: NodeIdentity): void {
    this.#client.options.cert = pem.certificate
  }

  notify(devices: readonly string[], notice: DeviceNotice): void {
    const payload = JSON.stringify(DeviceNotice.parse(notice))
    for (const device of devices) {
      if (!this.#client.connected || this.#inFlight >= mostInFlight) return
      this.#inFlight += 1
      this.#client.publish(deviceTopics.down(device, notice.kind), payload, { qos: 1 }, () => {
        this.#inFlight -= 1
      })
      this.#metrics.notices.add({ kind: notice.kind, by: 'session' })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true)
  }

  #ignore(topic: string): void {
    this.#logger.debug({ topic: topic.slice(0, 200) }, 'an MQTT message was not understood')
  }
}

const parseStatus = (payload: Buffer): DeviceStatus | null => {
  try {
    const parsed = DeviceStatus.safeParse(JSON.parse(payload.toString('utf8')))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}
