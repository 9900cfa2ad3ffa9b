import { createHash, createPrivateKey } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { create } from '@bufbuild/protobuf'
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@tributary/contracts/gen/grpc/health/v1/health_pb'
import {
  type AttemptRef,
  type CheckInRequest,
  type CheckInResponse,
  CheckInResponseSchema,
  type Deployment,
  type EvaluationWork,
  type PullModelRequest,
  type PullModelResponse,
  PullModelResponseSchema,
  type PushUpdateRequest,
  type PushUpdateResponse,
  PushUpdateResponseSchema,
  type ReportEvaluationRequest,
  type ReportEvaluationResponse,
  ReportEvaluationResponseSchema,
  type Settlement,
  type TrainingWork,
  type UpdateHeader,
  type UpdateStatusRequest,
  type UpdateStatusResponse,
  UpdateStatusResponseSchema,
  type Verdict,
  VerdictCode,
  VerdictSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { chunkBytes, federatedLearningMethods, healthMethods } from '@tributary/contracts/grpc-service'
import { errorMetadata } from '@tributary/contracts/grpc-status'
import { CompactSign } from 'jose'
import type { PemPair, TestAuthority } from './certificates.ts'

const nodeId = '0190b5a0-0000-7000-8000-0000000000aa'

type Upload = { header: UpdateHeader; body: Buffer; accepted: boolean }

/**
 * The node's side of the contract on a real gRPC server with mTLS: offers work, serves objects, takes updates, gives
 * signed receipts. Tests set what it offers and wait for what it saw.
 */
export class TestNode implements AsyncDisposable {
  readonly endpoint: string
  readonly objects = new Map<string, Uint8Array>()
  readonly checkIns: CheckInRequest[] = []
  readonly pulls: { sha256: string; offset: number }[] = []
  readonly pushes: { offset: number }[] = []
  readonly reports: ReportEvaluationRequest[] = []
  readonly uploads = new Map<string, Upload>()
  training: TrainingWork | undefined
  evaluation: EvaluationWork | undefined
  deployments: Deployment[] = []
  settled: (Omit<Partial<Settlement>, '$typeName'> & { attempt: AttemptRef })[] = []
  pauseMillis = 100
  describeDatasets = false
  serving = ServingStatus.SERVING
  /** Answers check-ins in place of an assignment. */
  answerCheckIn: (() => CheckInResponse) | undefined
  /** Answers complete uploads in place of ACCEPTED. */
  answerUpdate: (() => Verdict) | undefined
  /** What a pull sends in place of the object: chunks, or a refusal by the catalogue; undefined sends nothing, for ever. */
  answerPull: (() => Iterable<Uint8Array> | string | undefined) | undefined
  /** Called once the update is durable, before the reply leaves. */
  beforeReply: () => void = () => {}
  readonly #events = new EventEmitter().setMaxListeners(100)
  readonly #server: Server
  readonly #keys: PemPair

  private constructor(server: Server, port: number, keys: PemPair) {
    this.#server = server
    this.#keys = keys
    this.endpoint = `localhost:${port}`
  }

  static async start(authority: TestAuthority, unit = 'regional-node', port = 0): Promise<TestNode> {
    const keys = await authority.issue(nodeId, unit)
    const server = new Server()
    const root = Buffer.from(authority.certificate)
    const pair = { private_key: Buffer.from(keys.key), cert_chain: Buffer.from(keys.certificate) }
    const bound = Promise.withResolvers<number>()
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createSsl(root, [pair], true), (error, taken) =>
      error === null ? bound.resolve(taken) : bound.reject(error),
    )
    const node = new TestNode(server, await bound.promise, keys)
    server.addService(federatedLearningMethods, {
      checkIn: (call: ServerUnaryCall<CheckInRequest, CheckInResponse>, reply: sendUnaryData<CheckInResponse>) =>
        node.#checkIn(call.request, reply),
      pullModel: (call: ServerWritableStream<PullModelRequest, PullModelResponse>) => node.#pull(call),
      pushUpdate: (
        call: ServerReadableStream<PushUpdateRequest, PushUpdateResponse>,
        reply: sendUnaryData<PushUpdateResponse>,
      ) => void node.#push(call, reply),
      updateStatus: (
        call: ServerUnaryCall<UpdateStatusRequest, UpdateStatusResponse>,
        reply: sendUnaryData<UpdateStatusResponse>,
      ) => void node.#updateStatus(call.request, reply),
      reportEvaluation: (
        call: ServerUnaryCall<ReportEvaluationRequest, ReportEvaluationResponse>,
        reply: sendUnaryData<ReportEvaluationResponse>,
      ) => node.#report(call.request, reply),
    })
    server.addService(healthMethods, {
      check: (_call: unknown, reply: sendUnaryData<HealthCheckResponse>) =>
        reply(null, create(HealthCheckResponseSchema, { status: node.serving })),
      watch: (call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) => call.end(),
    })
    return node
  }

  /** Waits until a condition holds, looking again after everything that the node sees. */
  async until(what: string, condition: () => boolean, deadlineSeconds = 15): Promise<void> {
    const deadline = AbortSignal.timeout(deadlineSeconds * 1000)
    while (!condition()) {
      await once(this.#events, 'seen', { signal: deadline }).catch(() => {
        throw new Error(`the node waited in vain: ${what}`)
      })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown()
  }

  #checkIn(request: CheckInRequest, reply: sendUnaryData<CheckInResponse>): void {
    this.checkIns.push(request)
    const { training, evaluation, settled, pauseMillis, deployments, describeDatasets } = this
    const value = { protocol: 1, pauseMillis, training, evaluation, settled, deployments, describeDatasets }
    const assignment = { result: { case: 'assignment' as const, value } }
    reply(null, this.answerCheckIn?.() ?? create(CheckInResponseSchema, assignment as never))
    this.#seen()
  }

  #pull(call: ServerWritableStream<PullModelRequest, PullModelResponse>): void {
    const { sha256 } = call.request
    const offset = Number(call.request.offset)
    const bytes = this.objects.get(sha256)
    this.pulls.push({ sha256, offset })
    if (bytes === undefined) {
      call.emit('error', { code: status.NOT_FOUND, details: 'no such object' })
      return
    }
    if (this.answerPull !== undefined) {
      this.#answerPull(call, this.answerPull(), bytes.length)
      return
    }
    let first = true
    for (let start = offset; start < bytes.length || first; start += chunkBytes) {
      const chunk = bytes.subarray(start, start + chunkBytes)
      call.write(create(PullModelResponseSchema, { totalBytes: first ? BigInt(bytes.length) : 0n, chunk }))
      first = false
    }
    call.end()
    this.#seen()
  }

  #answerPull(
    call: ServerWritableStream<PullModelRequest, PullModelResponse>,
    answer: Iterable<Uint8Array> | string | undefined,
    bytes: number,
  ): void {
    if (typeof answer === 'string') {
      const metadata = new Metadata()
      metadata.set(errorMetadata.code, answer)
      metadata.set(errorMetadata.detail, Buffer.from('say ä'))
      call.emit('error', { code: status.UNAUTHENTICATED, details: 'refused', metadata })
    } else if (answer !== undefined) {
      for (const chunk of answer) call.write(create(PullModelResponseSchema, { totalBytes: BigInt(bytes), chunk }))
      call.end()
    }
    this.#seen()
  }

  async #push(
    call: ServerReadableStream<PushUpdateRequest, PushUpdateResponse>,
    reply: sendUnaryData<PushUpdateResponse>,
  ): Promise<void> {
    let upload: Upload | undefined
    try {
      for await (const { part } of call as AsyncIterable<PushUpdateRequest>) {
        if (part.case === 'header') {
          const offset = Number(part.value.offset)
          this.pushes.push({ offset })
          const known = this.uploads.get(part.value.sha256)?.body ?? Buffer.alloc(0)
          upload = { header: part.value, body: known.subarray(0, offset), accepted: false }
          this.uploads.set(part.value.sha256, upload)
        } else if (part.case === 'chunk' && upload !== undefined) {
          upload.body = Buffer.concat([upload.body, part.value])
          this.#seen()
        }
      }
    } catch {
      return
    }
    if (upload === undefined) return
    const { header, body } = upload
    const whole = BigInt(body.length) === header.totalBytes && sha256Of(body) === header.sha256
    const verdict = whole
      ? (this.answerUpdate?.() ?? (await this.#accept(upload, VerdictCode.ACCEPTED)))
      : create(VerdictSchema, { code: VerdictCode.INVALID, errorCode: 'LENGTH_MISMATCH' })
    this.beforeReply()
    reply(null, create(PushUpdateResponseSchema, { verdict, receivedBytes: BigInt(body.length) }))
    this.#seen()
  }

  async #updateStatus(request: UpdateStatusRequest, reply: sendUnaryData<UpdateStatusResponse>): Promise<void> {
    const upload = this.uploads.get(request.sha256)
    const receivedBytes = BigInt(upload?.body.length ?? 0)
    const verdict = upload?.accepted ? { verdict: await this.#accept(upload, VerdictCode.ALREADY) } : {}
    reply(null, create(UpdateStatusResponseSchema, { receivedBytes, ...verdict }))
    this.#seen()
  }

  #report(request: ReportEvaluationRequest, reply: sendUnaryData<ReportEvaluationResponse>): void {
    this.reports.push(request)
    this.evaluation = undefined
    const verdict = create(VerdictSchema, { code: VerdictCode.ACCEPTED })
    reply(null, create(ReportEvaluationResponseSchema, { verdict }))
    this.#seen()
  }

  async #accept(upload: Upload, code: VerdictCode): Promise<Verdict> {
    upload.accepted = true
    const { header } = upload
    const { task, round, attempt } = this.training?.attempt ?? { task: '', round: 0, attempt: 0 }
    const claims = {
      task,
      round,
      attempt,
      region: 'north',
      shard: 0,
      epoch: 1,
      node: nodeId,
      device: header.token.split('|')[1],
      sha256: header.sha256,
      weight: Number(header.examples),
      iat: Math.floor(Date.now() / 1000),
    }
    const receipt = await new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'ES256' })
      .sign(createPrivateKey(this.#keys.key))
    return create(VerdictSchema, { code, receipt })
  }

  #seen(): void {
    this.#events.emit('seen')
  }
}

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
