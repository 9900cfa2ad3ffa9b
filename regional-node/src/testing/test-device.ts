import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { Client, credentials, type Metadata, type ServiceError } from '@grpc/grpc-js'
import { HealthCheckRequestSchema, type HealthCheckResponse } from '@tributary/contracts/gen/grpc/health/v1/health_pb'
import {
  type Assignment,
  CheckInRequestSchema,
  type CheckInResponse,
  Codec,
  PullModelRequestSchema,
  PushUpdateRequestSchema,
  type PushUpdateResponse,
  ReportEvaluationRequestSchema,
  type TrainingWork,
  UpdateHeaderSchema,
  UpdateKind,
  UpdateStatusRequestSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { type GrpcMethod, healthMethods, federatedLearningMethods as methods } from '@tributary/contracts/grpc-service'
import { errorMetadata } from '@tributary/contracts/grpc-status'
import type { DirectoryDevice } from '@tributary/contracts/node-status'
import type { CertificateAuthority, CertificateFiles } from '@tributary/local-stack/services/certificate-authority'
import { v7 as uuidv7 } from 'uuid'
import { sha256Of } from './sample-round.ts'

type Tls = { readonly ca: Buffer; readonly key: Buffer; readonly cert: Buffer }

const callMillis = 20_000

/** The catalogue code of a refused call. */
export const refusalOf = (error: unknown): string =>
  `${(error as { metadata: Metadata }).metadata?.get(errorMetadata.code)[0]}`

/** A device with a certificate of its own, speaking gRPC as the agent does. */
export class TestDevice {
  readonly entry: DirectoryDevice
  readonly files: CertificateFiles
  readonly #tls: Tls
  #client: Client | undefined

  private constructor(entry: DirectoryDevice, files: CertificateFiles, tls: Tls) {
    this.entry = entry
    this.files = files
    this.#tls = tls
  }

  static async enrol(
    authority: CertificateAuthority,
    { sequence, kind = 'trainer' }: { sequence: number; kind?: DirectoryDevice['kind'] },
  ): Promise<TestDevice> {
    const id = uuidv7()
    const files = await authority.clientCertificate(id, id, 'device')
    const cert = await readFile(files.certificateFile)
    const certificateSha256 = sha256Of(new X509Certificate(cert).raw)
    const label = `device-${sequence}`
    const entry = { device: id, label, kind, groups: [], certificateSha256, revoked: false, sequence }
    const tls = { ca: Buffer.from(authority.certificatePem), key: await readFile(files.keyFile), cert }
    return new TestDevice(entry, files, tls)
  }

  connect(port: number): void {
    this.#client?.close()
    const { ca, key, cert } = this.#tls
    this.#client = new Client(`localhost:${port}`, credentials.createSsl(ca, key, cert))
  }

  checkIn(fields: MessageInitShape<typeof CheckInRequestSchema> = {}): Promise<CheckInResponse> {
    return this.#unary(
      methods.checkIn,
      create(CheckInRequestSchema, {
        protocolMin: 1,
        protocolMax: 1,
        agentVersion: '0.1.0',
        datasets: [{ name: 'digits', examples: 100n }],
        frameworks: ['onnx'],
        ...fields,
      }),
    )
  }

  /** Checks in until there is work of the wanted kind. */
  async work<Kind extends 'training' | 'evaluation'>(kind: Kind): Promise<NonNullable<Assignment[Kind]>> {
    const end = performance.now() + callMillis
    while (performance.now() < end) {
      const { result } = await this.checkIn()
      const work = result.case === 'assignment' ? result.value[kind] : undefined
      if (work !== undefined) return work as NonNullable<Assignment[Kind]>
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    throw new Error(`no ${kind} came`)
  }

  async pull(token: string, sha256: string, offset = 0): Promise<Buffer> {
    const request = create(PullModelRequestSchema, { token, sha256, offset: BigInt(offset) })
    const { path, requestSerialize, responseDeserialize } = methods.pullModel
    const call = this.#open().makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.#deadline(),
    )
    const parts: Uint8Array[] = []
    for await (const { chunk } of call) parts.push(chunk)
    return Buffer.concat(parts)
  }

  /**
   * Pushes an update.
   * @param stopAt cuts the connection after so many bytes
   */
  push(
    work: TrainingWork,
    body: Uint8Array,
    { offset = 0, examples = 10, stopAt }: { offset?: number; examples?: number; stopAt?: number } = {},
  ): Promise<PushUpdateResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<PushUpdateResponse>()
    const { path, requestSerialize, responseDeserialize } = methods.pushUpdate
    const call = this.#open().makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      this.#deadline(),
      (error: ServiceError | null, answer?: PushUpdateResponse) => (answer ? resolve(answer) : reject(error)),
    )
    const header = create(UpdateHeaderSchema, {
      token: work.token,
      kind: UpdateKind.DELTA,
      codec: Codec.NONE,
      baseSha256: work.base?.sha256 ?? '',
      totalBytes: BigInt(body.byteLength),
      sha256: sha256Of(body),
      offset: BigInt(offset),
      examples: BigInt(examples),
      trainSeconds: 1,
      metrics: [{ name: 'loss_q20', value: 7n }],
    })
    call.write(create(PushUpdateRequestSchema, { part: { case: 'header', value: header } }))
    const rest = body.subarray(offset, stopAt)
    for (let at = 0; at < rest.byteLength; at += 65_536) {
      const value = rest.subarray(at, at + 65_536)
      call.write(create(PushUpdateRequestSchema, { part: { case: 'chunk', value } }))
    }
    if (stopAt === undefined) call.end()
    return promise
  }

  updateStatus(token: string, sha256: string) {
    return this.#unary(methods.updateStatus, create(UpdateStatusRequestSchema, { token, sha256 }))
  }

  reportEvaluation(fields: MessageInitShape<typeof ReportEvaluationRequestSchema>) {
    return this.#unary(methods.reportEvaluation, create(ReportEvaluationRequestSchema, fields))
  }

  /** What the node's gRPC health service says. */
  health(service = ''): Promise<HealthCheckResponse> {
    return this.#unary(healthMethods.check, create(HealthCheckRequestSchema, { service }))
  }

  [Symbol.dispose](): void {
    this.#client?.close()
  }

  #open(): Client {
    if (this.#client === undefined) throw new Error('connect first')
    return this.#client
  }

  #deadline() {
    return { deadline: Date.now() + callMillis }
  }

  // biome-ignore lint/suspicious/noExplicitAny: the schema types of a method are not needed here
  #unary<Method extends GrpcMethod<any, any>>(
    { path, requestSerialize, responseDeserialize }: Method,
    request: Parameters<Method['requestSerialize']>[0],
  ): Promise<ReturnType<Method['responseDeserialize']>> {
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: unknown) =>
        error === null ? resolve(answer as ReturnType<Method['responseDeserialize']>) : reject(error)
      this.#open().makeUnaryRequest(path, requestSerialize, responseDeserialize, request, this.#deadline(), done)
    })
  }
}
