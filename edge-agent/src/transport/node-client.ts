import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { DescMessage, MessageShape } from '@bufbuild/protobuf'
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import type {
  CheckInRequest,
  CheckInResponse,
  PullModelRequest,
  PullModelResponse,
  PushUpdateRequest,
  PushUpdateResponse,
  ReportEvaluationRequest,
  ReportEvaluationResponse,
  UpdateStatusRequest,
  UpdateStatusResponse,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { chunkBytes, federatedLearningMethods, type GrpcMethod } from '@tributary/contracts/grpc-service'
import { certificateKinds } from '@tributary/contracts/signed-request'
import { CallError, callErrorOf } from './call-error.ts'
import { dateOf } from './date-header.ts'
import type { Identity } from './identity.ts'
import { ProgressWatch } from './progress-watch.ts'

export type CallTimes = {
  /** Longest unary call, ms. */
  readonly unaryMillis: number
  /** A stream that moves nothing for so long has failed, ms. */
  readonly stallMillis: number
  /** From the last byte of an upload to its verdict, ms: the node checks and writes to disk meanwhile. */
  readonly verdictMillis: number
}

export const defaultCallTimes: CallTimes = { unaryMillis: 10_000, stallMillis: 20_000, verdictMillis: 60_000 }

/** Told of every chunk of a model or an update that passes. */
export type OnBytes = (direction: 'down' | 'up', bytes: number) => void

/** An answer with the certificate (DER) of the node that gave it, and the time that this node has. */
export type Answered<Response> = {
  readonly response: Response
  readonly nodeCertificate: Uint8Array | undefined
  /** To the second; undefined where it was not told. */
  readonly nodeDate?: Date | undefined
}

/** A connection to one regional node, mTLS on both sides. Connects at the first call; closed by disposing, or as `retire` says. */
export class NodeClient implements Disposable {
  readonly endpoint: string
  readonly #identity: Identity
  readonly #times: CallTimes
  readonly #onBytes: OnBytes
  #client: Client | undefined
  #running = 0
  #isRetired = false

  constructor(endpoint: string, identity: Identity, times: CallTimes = defaultCallTimes, onBytes: OnBytes = () => {}) {
    this.endpoint = endpoint
    this.#identity = identity
    this.#times = times
    this.#onBytes = onBytes
  }

  /**
   * Keeps no connection from now on but for calls that run: whoever still holds this client can finish with it, and a node that is
   * gone is not tried for ever.
   */
  retire(): void {
    this.#isRetired = true
    this.#closeUnused()
  }

  /** All unary calls throw CallError. */
  async checkIn(request: CheckInRequest, signal: AbortSignal): Promise<Answered<CheckInResponse>> {
    return this.#unary(federatedLearningMethods.checkIn, request, signal)
  }

  async updateStatus(request: UpdateStatusRequest, signal: AbortSignal): Promise<Answered<UpdateStatusResponse>> {
    return this.#unary(federatedLearningMethods.updateStatus, request, signal)
  }

  async reportEvaluation(request: ReportEvaluationRequest, signal: AbortSignal): Promise<ReportEvaluationResponse> {
    return (await this.#unary(federatedLearningMethods.reportEvaluation, request, signal)).response
  }

  /** Streams the rest of an object. Throws CallError, also when nothing arrives for `stallMillis`. */
  async *pullModel(request: PullModelRequest, signal: AbortSignal): AsyncGenerator<PullModelResponse> {
    signal.throwIfAborted()
    const { path, requestSerialize, responseDeserialize } = federatedLearningMethods.pullModel
    const call = this.#begin().makeServerStreamRequest(path, requestSerialize, responseDeserialize, request)
    // Cancelling below raises an error that nobody waits for any more.
    call.on('error', () => {})
    const cancel = () => call.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    let stalled = false
    using watch = new ProgressWatch(this.#times.stallMillis, () => {
      stalled = true
      cancel()
    })
    try {
      for await (const message of call as AsyncIterable<PullModelResponse>) {
        watch.progressed()
        this.#onBytes('down', message.chunk.byteLength)
        yield message
        watch.progressed()
      }
    } catch (error) {
      signal.throwIfAborted()
      throw stalled ? this.#stall('PullModel') : callErrorOf('PullModel', this.endpoint, error as ServiceError)
    } finally {
      signal.removeEventListener('abort', cancel)
      cancel()
      this.#end()
    }
  }

  /** Sends parts as fast as the node takes them, until it answers. The parts are abandoned when it answers early. */
  async pushUpdate(
    parts: AsyncIterable<PushUpdateRequest>,
    signal: AbortSignal,
  ): Promise<Answered<PushUpdateResponse>> {
    signal.throwIfAborted()
    const { path, requestSerialize, responseDeserialize } = federatedLearningMethods.pushUpdate
    const answer = Promise.withResolvers<PushUpdateResponse>()
    let answered = false
    let stalled = false
    const call = this.#begin().makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error, value) => {
      answered = true
      if (error === null && value !== undefined) answer.resolve(value)
      else if (stalled) answer.reject(this.#stall('PushUpdate'))
      else
        answer.reject(signal.aborted ? signal.reason : callErrorOf('PushUpdate', this.endpoint, error as ServiceError))
    })
    const over = answer.promise.then(
      () => {},
      () => {},
    )
    call.on('error', () => {})
    const cancel = () => call.cancel()
    const stall = () => {
      stalled = true
      cancel()
    }
    signal.addEventListener('abort', cancel, { once: true })
    try {
      {
        using watch = new ProgressWatch(this.#times.stallMillis, stall)
        for await (const part of parts) {
          if (answered) break
          const written = new Promise<void>(resolve => call.write(part, () => resolve()))
          await Promise.race([written, over])
          watch.progressed()
          if (part.part.case === 'chunk') this.#onBytes('up', part.part.value.byteLength)
        }
        call.end()
      }
      using _verdict = new ProgressWatch(this.#times.verdictMillis, stall)
      const response = await answer.promise
      return { response, nodeCertificate: certificateOf(call.getAuthContext()?.sslPeerCertificate) }
    } finally {
      signal.removeEventListener('abort', cancel)
      cancel()
      this.#end()
    }
  }

  [Symbol.dispose](): void {
    this.#client?.close()
  }

  #begin(): Client {
    this.#running += 1
    this.#client ??= connect(this.endpoint, this.#identity)
    return this.#client
  }

  #end(): void {
    this.#running -= 1
    this.#closeUnused()
  }

  #closeUnused(): void {
    if (!this.#isRetired || this.#running > 0) return
    this.#client?.close()
    this.#client = undefined
  }

  #unary<Input extends DescMessage, Output extends DescMessage>(
    method: GrpcMethod<Input, Output>,
    request: MessageShape<Input>,
    signal: AbortSignal,
  ): Promise<Answered<MessageShape<Output>>> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Answered<MessageShape<Output>>>()
    let nodeDate: Date | undefined
    const call = this.#begin().makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      { deadline: Date.now() + this.#times.unaryMillis },
      (error, value) => {
        signal.removeEventListener('abort', cancel)
        this.#end()
        if (error === null && value !== undefined) {
          const nodeCertificate = certificateOf(call.getAuthContext()?.sslPeerCertificate)
          resolve({ response: value, nodeCertificate, nodeDate })
        } else {
          reject(
            signal.aborted
              ? signal.reason
              : callErrorOf(method.path.slice(method.path.lastIndexOf('/') + 1), this.endpoint, error as ServiceError),
          )
        }
      },
    )
    call.on('metadata', metadata => {
      nodeDate = dateOf(metadata.get('date')[0]?.toString())
    })
    const cancel = () => call.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    return promise
  }

  #stall(method: string): CallError {
    const seconds = this.#times.stallMillis / 1000
    return new CallError(`${method} at ${this.endpoint}: nothing moved for ${seconds} s`, {
      status: 4,
      retryable: true,
    })
  }
}

const connect = (endpoint: string, identity: Identity): Client => {
  const secured = credentials.createSsl(identity.authority, identity.key, identity.certificate, {
    checkServerIdentity: requireNode,
  })
  return new Client(endpoint, secured, {
    // A node sends chunks; nothing larger than one of them is ever expected.
    'grpc.max_receive_message_length': 4 * chunkBytes,
    'grpc.client_idle_timeout_ms': 30_000,
    'grpc.initial_reconnect_backoff_ms': 250,
    'grpc.max_reconnect_backoff_ms': 5_000,
    'grpc.enable_retries': 0,
    // Without a buffer for retries a write ends when its bytes are on their way: that is what progress and memory go by.
    'grpc.per_rpc_retry_buffer_size': 0,
    // The proxy of the environment is for the web, not for mTLS to a node.
    'grpc.enable_http_proxy': 0,
  })
}

// Devices have certificates of the same authority: without this, one of them could pass for a node.
export const requireNode = (host: string, certificate: PeerCertificate): Error | undefined => {
  const mismatch = checkServerIdentity(host, certificate)
  if (mismatch !== undefined) return mismatch
  const unit = String(certificate.subject.OU)
  return unit === certificateKinds.node
    ? undefined
    : new Error(`${host} shows the certificate of a ${unit}, not of a node`)
}

const certificateOf = (peer: PeerCertificate | undefined): Uint8Array | undefined => peer?.raw
