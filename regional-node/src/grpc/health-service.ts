import { create } from '@bufbuild/protobuf'
import { type handleServerStreamingCall, type handleUnaryCall, type ServerWritableStream, status } from '@grpc/grpc-js'
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@tributary/contracts/gen/grpc/health/v1/health_pb'
import { federatedLearningName } from '@tributary/contracts/grpc-service'

/** How often a condition that is watched is looked at. */
const lookMillis = 500
const mostWatchers = 64
/** The server as a whole goes by the empty name. */
const services: readonly string[] = ['', federatedLearningName]

type Watcher = {
  readonly call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>
  told: ServingStatus
}

/**
 * `grpc.health.v1.Health`, for whoever has a certificate of the federation: load balancers, orchestrators, `grpc-health-probe`.
 * https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
export class HealthService implements Disposable {
  readonly #isServing: () => boolean
  readonly #watchers = new Set<Watcher>()
  #timer: NodeJS.Timeout | undefined

  /** @param isServing whether devices can be served now */
  constructor(isServing: () => boolean) {
    this.#isServing = isServing
  }

  readonly check: handleUnaryCall<HealthCheckRequest, HealthCheckResponse> = ({ request }, answer) => {
    if (services.includes(request.service)) answer(null, responseOf(this.#status))
    else answer({ code: status.NOT_FOUND, details: 'There is no such service.' })
  }

  readonly watch: handleServerStreamingCall<HealthCheckRequest, HealthCheckResponse> = call => {
    call.on('error', () => {})
    if (this.#watchers.size >= mostWatchers) {
      call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'Too many watch. Use Check.' })
      return
    }
    const isKnown = services.includes(call.request.service)
    const watcher = { call, told: isKnown ? this.#status : ServingStatus.SERVICE_UNKNOWN }
    this.#watchers.add(watcher)
    call.on('cancelled', () => this.#forget(watcher))
    call.write(responseOf(watcher.told))
    this.#timer ??= setInterval(() => this.#tell(), lookMillis).unref()
  };

  /** Ends what watches. */
  [Symbol.dispose](): void {
    for (const watcher of this.#watchers) {
      watcher.call.end()
      this.#forget(watcher)
    }
  }

  get #status(): ServingStatus {
    return this.#isServing() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING
  }

  #tell(): void {
    const now = this.#status
    for (const watcher of this.#watchers) {
      if (watcher.told === now || watcher.told === ServingStatus.SERVICE_UNKNOWN) continue
      // Who does not read is told the newest once it does.
      if (watcher.call.writableNeedDrain) continue
      watcher.told = now
      watcher.call.write(responseOf(now))
    }
  }

  #forget(watcher: Watcher): void {
    this.#watchers.delete(watcher)
    if (this.#watchers.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

const responseOf = (serving: ServingStatus): HealthCheckResponse =>
  create(HealthCheckResponseSchema, { status: serving })
