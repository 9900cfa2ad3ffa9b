import { once } from 'node:events'
import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  type ServerOptions,
} from '@grpc/grpc-js'
import { asTributaryError, TributaryError } from '@tributary/contracts/errors'
import type * as fl from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { chunkBytes, federatedLearningMethods, healthMethods } from '@tributary/contracts/grpc-service'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { NodeIdentity } from '../identity/node-identity.ts'
import { authenticate } from './authenticate.ts'
import { statusOf } from './call-status.ts'
import { checkIn } from './check-in.ts'
import { ConnectionListener } from './connection-listener.ts'
import { HealthService } from './health-service.ts'
import type { NodeServices } from './node-services.ts'
import { type PeerCall, Peers } from './peer-identity.ts'
import { pullModel } from './pull-model.ts'
import { pushUpdate } from './push-update.ts'
import { reportEvaluation } from './report-evaluation.ts'
import { ServerCertificate } from './server-certificate.ts'
import { withinMillis } from './stall-limit.ts'
import { updateStatus } from './update-status.ts'

const minute = 60_000
const KiB = 1024

/** grpc-js limits nothing by itself: connections would live, idle and multiply for ever. */
const limits: ServerOptions = {
  'grpc.max_receive_message_length': chunkBytes + 64 * KiB,
  'grpc.max_send_message_length': chunkBytes + 64 * KiB,
  'grpc.max_concurrent_streams': 16,
  'grpc.max_connection_idle_ms': 10 * minute,
  // Age makes devices of a load balancer spread over new nodes; running calls have the grace to finish.
  'grpc.max_connection_age_ms': 4 * 60 * minute,
  'grpc.max_connection_age_grace_ms': 60 * minute,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // Books that nobody reads, for every connection and call.
  'grpc.enable_channelz': 0,
  'grpc-node.max_session_memory': 10,
}

/** What every kind of call has. */
type Call = PeerCall & {
  on(event: 'cancelled', listener: () => void): unknown
}

/** The gRPC server of a node. Client certificates are required; what is refused carries a catalogue code. */
export class GrpcServer {
  readonly #server = new Server(limits)
  readonly #node: NodeServices
  readonly #peers = new Peers()
  readonly #mostConnections: number
  #certificate: ServerCertificate | undefined
  #listener: ConnectionListener | undefined
  readonly #health: HealthService
  #calls = 0
  #port = 0

  /**
   * @param isServing whether devices can be served now, as the health service tells it
   * @param mostConnections devices beyond are refused
   */
  constructor(node: NodeServices, isServing: () => boolean, mostConnections: number) {
    this.#node = node
    this.#mostConnections = mostConnections
    this.#health = new HealthService(isServing)
    this.#server.addService(healthMethods, { check: this.#health.check, watch: this.#health.watch })
    this.#server.addService(federatedLearningMethods, {
      checkIn: this.#unary('CheckIn', checkIn(node)),
      pullModel: this.#serverStream('PullModel', pullModel(node)),
      pushUpdate: this.#clientStream('PushUpdate', pushUpdate(node)),
      updateStatus: this.#unary('UpdateStatus', updateStatus(node)),
      reportEvaluation: this.#unary('ReportEvaluation', reportEvaluation(node)),
    })
  }

  /** Port that it listens on. */
  get port(): number {
    return this.#port
  }

  /** Calls that run now. */
  get runningCalls(): number {
    return this.#calls
  }

  /** Connections that are there. */
  get connections(): number {
    return this.#listener?.connections ?? 0
  }

  async listen(at: { host: string; port: number }, identity: NodeIdentity): Promise<void> {
    this.#certificate = new ServerCertificate(identity.pem)
    const injector = this.#server.createConnectionInjector(this.#certificate.credentials())
    const mostConnections = this.#mostConnections
    this.#listener = new ConnectionListener({ mostConnections }, socket => injector.injectConnection(socket))
    this.#port = await this.#listener.listen(at)
  }

  /** Connections that are made from now on are shown this certificate; those that are there go on. */
  useIdentity({ pem }: NodeIdentity): void {
    this.#certificate?.replace(pem)
  }

  /** Refuses new calls, lets running ones end until the signal aborts, then cuts them. */
  async close(deadline: AbortSignal): Promise<void> {
    this.#health[Symbol.dispose]()
    // Tells everybody to go. It does not wait for calls that run, nor does it cut what channelz does not list.
    this.#server.tryShutdown(() => {})
    await this.#listener?.close(deadline)
  }

  #unary<Input, Output>(
    method: string,
    handle: (request: Input, device: KnownDevice) => Promise<Output>,
  ): handleUnaryCall<Input, Output> {
    return (call, callback) => {
      void this.#serve(method, call, async device => handle(call.request, device)).then(
        answer => callback(null, answer),
        failure => callback(statusOf(failure)),
      )
    }
  }

  #clientStream<Output>(
    method: string,
    handle: (
      parts: AsyncIterable<fl.PushUpdateRequest>,
      device: KnownDevice,
      cancelled: AbortSignal,
    ) => Promise<Output>,
  ): handleClientStreamingCall<fl.PushUpdateRequest, Output> {
    return (call, callback) => {
      // A message that is refused by the limits errs on the stream; the iterator rejects with it.
      call.on('error', () => {})
      void this.#serve(method, call, (device, cancelled) => handle(call, device, cancelled)).then(
        answer => callback(null, answer),
        failure => callback(statusOf(failure)),
      )
    }
  }

  #serverStream<Input, Output>(
    method: string,
    handle: (request: Input, device: KnownDevice) => AsyncIterable<Output>,
  ): handleServerStreamingCall<Input, Output> {
    return call => {
      call.on('error', () => {})
      void this.#serve(method, call, async (device, cancelled) => {
        for await (const message of handle(call.request, device)) {
          cancelled.throwIfAborted()
          // Back-pressure: a slow device holds one chunk, not the model.
          if (!call.write(message)) await withinMillis(once(call, 'drain'), this.#node.stallMillis, cancelled)
        }
      }).then(
        () => call.end(),
        failure => call.emit('error', statusOf(failure)),
      )
    }
  }

  async #serve<Answer>(
    method: string,
    call: Call,
    handle: (device: KnownDevice, cancelled: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    const cancelled = new AbortController()
    let isOver = false
    // Told of every call whose stream closes, the answered ones too.
    call.on('cancelled', () => {
      if (!isOver) cancelled.abort(new TributaryError('UNAVAILABLE', { detail: 'The call was cancelled.' }))
    })
    this.#calls += 1
    try {
      const device = await authenticate(this.#peers.of(call), this.#node)
      const answer = await handle(device, cancelled.signal)
      this.#node.metrics.calls.add({ method, code: 'OK' })
      return answer
    } catch (failure) {
      const error = asTributaryError(failure)
      this.#node.metrics.calls.add({ method, code: error.code })
      if (error.code === 'INTERNAL' && !cancelled.signal.aborted) {
        this.#node.journal.report('error', `${method} failed: ${(error.cause as Error)?.message}`, { code: error.code })
      }
      throw error
    } finally {
      isOver = true
      this.#calls -= 1
    }
  }
}
