import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane'
import { DeviceNotice, deviceTopics } from '@tributary/contracts/topics'
import type { NoticeChannel } from '../devices/notice-channel.ts'
import type { NodeMetrics } from '../health/node-metrics.ts'
import type { Logger } from '../journal/logger.ts'

/** Publications under way at the same time. */
const mostAtOnce = 32
/** For one publication, its tries included. */
const publishMillis = 3000
/** Devices poll every 2 s while there is work: an older notice tells nobody anything. */
const staleMillis = 10_000
/** Notices that wait, over all batches. */
const mostWaiting = 100_000

/** The notices of one call of `notify`. */
type Batch = {
  readonly kind: DeviceNotice['kind']
  readonly payload: Uint8Array
  readonly devices: readonly string[]
  readonly staleAt: number
  /** Index of the next device. */
  next: number
  /** Notices that are neither sent nor given up. */
  left: number
  failed: number
  firstError: unknown
}

/**
 * Notices by the HTTPS interface of AWS IoT (`Publish`, QoS 1), which has no limit for each connection. Endpoint, region and
 * credentials come from the SDK's own environment.
 */
export class IotNoticeChannel implements NoticeChannel {
  readonly #client = new IoTDataPlaneClient({
    maxAttempts: 2,
    requestHandler: {
      connectionTimeout: publishMillis,
      httpAgent: { maxSockets: mostAtOnce },
      httpsAgent: { maxSockets: mostAtOnce },
    },
  })
  readonly #monotonic: () => number
  readonly #metrics: NodeMetrics
  readonly #logger: Logger
  readonly #stop = new AbortController()
  readonly #batches: Batch[] = []
  readonly #workers = new Set<Promise<void>>()
  #waiting = 0
  #working = 0

  constructor(monotonic: () => number, { metrics, logger }: { metrics: NodeMetrics; logger: Logger }) {
    this.#monotonic = monotonic
    this.#metrics = metrics
    this.#logger = logger
  }

  notify(devices: readonly string[], notice: DeviceNotice): void {
    if (this.#stop.signal.aborted) return
    const taken = devices.slice(0, mostWaiting - this.#waiting)
    const dropped = devices.length - taken.length
    if (dropped > 0) this.#logger.warn({ kind: notice.kind, dropped }, 'too many notices wait: some are not sent')
    if (taken.length === 0) return
    this.#waiting += taken.length
    this.#batches.push({
      kind: notice.kind,
      payload: Buffer.from(JSON.stringify(DeviceNotice.parse(notice))),
      devices: taken,
      staleAt: this.#monotonic() + staleMillis,
      next: 0,
      left: taken.length,
      failed: 0,
      firstError: undefined,
    })
    for (let more = Math.min(taken.length, mostAtOnce - this.#working); more > 0; more -= 1) {
      const worker: Promise<void> = this.#work().finally(() => this.#workers.delete(worker))
      this.#workers.add(worker)
    }
  }

  /** Ends publications that run; waiting ones are not sent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the node stops'))
    await Promise.all(this.#workers)
    this.#client.destroy()
  }

  async #work(): Promise<void> {
    this.#working += 1
    for (;;) {
      const [batch] = this.#batches
      if (batch === undefined) {
        this.#working -= 1
        return
      }
      const device = batch.devices[batch.next] as string
      batch.next += 1
      if (batch.next === batch.devices.length) this.#batches.shift()
      this.#waiting -= 1
      try {
        await this.#publish(batch, device)
        this.#metrics.notices.add({ kind: batch.kind, by: 'data-plane' })
      } catch (error) {
        batch.failed += 1
        batch.firstError ??= error
      }
      batch.left -= 1
      if (batch.left === 0 && batch.failed > 0) this.#reportFailure(batch)
    }
  }

  async #publish({ kind, payload, staleAt }: Batch, device: string): Promise<void> {
    this.#stop.signal.throwIfAborted()
    if (this.#monotonic() >= staleAt) throw new Error('the notice waited too long to be of use')
    const abortSignal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(publishMillis)])
    const command = new PublishCommand({ topic: deviceTopics.down(device, kind), qos: 1, payload })
    await this.#client.send(command, { abortSignal })
  }

  #reportFailure({ kind, devices, failed, firstError: err }: Batch): void {
    if (this.#stop.signal.aborted) return
    this.#logger.warn({ err, kind, failed, of: devices.length }, 'notices did not go out by the IoT data plane')
  }
}
