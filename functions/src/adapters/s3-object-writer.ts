import { createHash, subtle } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { ObjectWriter, WrittenObject } from './object-store.ts'

/** S3 takes parts of 5 MiB to 5 GiB and at most 10 000 of them: this reaches 80 GiB. */
export const partBytes = 8 * 1024 * 1024

export type S3ObjectWriterOptions = {
  readonly client: S3Client
  readonly bucket: string
  readonly key: string
  readonly contentType?: string
  readonly signal?: AbortSignal
}

type Part = { PartNumber: number; ETag: string; ChecksumSHA256: string }

/** Parts on their way at the same time. */
const mostInFlight = 4

/** Holds one part while it fills and four in flight: memory is five parts, whatever the object's size. */
export class S3ObjectWriter implements ObjectWriter {
  readonly #options: S3ObjectWriterOptions
  readonly #hash = createHash('sha256')
  readonly #parts: Part[] = []
  #part = new Uint8Array(partBytes)
  #filled = 0
  #bytes = 0
  #sent = 0
  #uploadId: string | undefined
  readonly #inFlight = new Set<Promise<void>>()
  /** Memory of parts that have arrived. */
  readonly #spare: Uint8Array<ArrayBuffer>[] = []
  #failure: { readonly error: unknown } | undefined
  #state: 'open' | 'finished' | 'failed' = 'open'

  constructor(options: S3ObjectWriterOptions) {
    this.#options = options
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#state !== 'open') throw new Error(`the writer of ${this.#options.key} is ${this.#state}`)
    this.#hash.update(bytes)
    this.#bytes += bytes.length
    let offset = 0
    while (offset < bytes.length) {
      // A full part leaves only when more follows, so that an object of one part is a plain put.
      if (this.#filled === partBytes) await this.#sendPart()
      const taken = bytes.subarray(offset, offset + partBytes - this.#filled)
      this.#part.set(taken, this.#filled)
      this.#filled += taken.length
      offset += taken.length
    }
  }

  async finish(): Promise<WrittenObject> {
    if (this.#state !== 'open') throw new Error(`the writer of ${this.#options.key} is ${this.#state}`)
    const digest = this.#hash.digest()
    if (this.#uploadId === undefined) await this.#putWhole(digest.toString('base64'))
    else await this.#complete(this.#uploadId)
    this.#state = 'finished'
    return { sha256: digest.toString('hex'), bytes: this.#bytes }
  }

  async #putWhole(checksum: string): Promise<void> {
    const { client, contentType = 'application/octet-stream' } = this.#options
    await client.send(
      new PutObjectCommand({
        ...this.#target,
        Body: this.#part.subarray(0, this.#filled),
        ContentLength: this.#filled,
        ContentType: contentType,
        ChecksumSHA256: checksum,
      }),
      this.#abort,
    )
  }

  async #complete(uploadId: string): Promise<void> {
    await this.#sendPart()
    await Promise.all(this.#inFlight)
    this.#throwFailure()
    this.#parts.sort((a, b) => a.PartNumber - b.PartNumber)
    await this.#options.client.send(
      new CompleteMultipartUploadCommand({
        ...this.#target,
        UploadId: uploadId,
        MultipartUpload: { Parts: this.#parts },
      }),
      this.#abort,
    )
  }

  async #sendPart(): Promise<void> {
    this.#uploadId ??= await this.#begin()
    while (this.#inFlight.size >= mostInFlight) await Promise.race(this.#inFlight)
    this.#throwFailure()
    this.#sent += 1
    const memory = this.#part
    const sending: Promise<void> = this.#upload(this.#uploadId, this.#sent, memory.subarray(0, this.#filled)).then(
      () => void this.#spare.push(memory),
      (error: unknown) => {
        this.#failure ??= { error }
      },
    )
    this.#inFlight.add(sending)
    void sending.then(() => this.#inFlight.delete(sending))
    this.#part = this.#spare.pop() ?? new Uint8Array(partBytes)
    this.#filled = 0
  }

  /** A part that failed is told by the next, or by `finish`. */
  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #begin(): Promise<string> {
    const { client, contentType = 'application/octet-stream' } = this.#options
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({ ...this.#target, ContentType: contentType, ChecksumAlgorithm: 'SHA256' }),
      this.#abort,
    )
    if (UploadId === undefined) throw new Error('object storage began a multipart upload without an id')
    return UploadId
  }

  async #upload(uploadId: string, number: number, body: Uint8Array<ArrayBuffer>): Promise<void> {
    // On another thread, beside the hash of the whole.
    const checksum = Buffer.from(await subtle.digest('SHA-256', body)).toString('base64')
    const { ETag = '' } = await this.#options.client.send(
      new UploadPartCommand({
        ...this.#target,
        UploadId: uploadId,
        PartNumber: number,
        Body: body,
        ContentLength: body.length,
        ChecksumSHA256: checksum,
      }),
      this.#abort,
    )
    this.#parts.push({ PartNumber: number, ETag, ChecksumSHA256: checksum })
  }

  get #target(): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#options.key }
  }

  get #abort(): { abortSignal?: AbortSignal } {
    return this.#options.signal === undefined ? {} : { abortSignal: this.#options.signal }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'finished') return
    this.#state = 'failed'
    await Promise.all(this.#inFlight)
    if (this.#uploadId === undefined) return
    // Best effort: the bucket's lifecycle rule removes what is left of cut uploads.
    await this.#options.client
      .send(new AbortMultipartUploadCommand({ ...this.#target, UploadId: this.#uploadId }))
      .catch(() => undefined)
  }
}
