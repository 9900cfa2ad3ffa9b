import { createHash } from 'node:crypto'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { TributaryError } from '@tributary/contracts/errors'
import type { Upload } from '@tributary/contracts/models'
import type { ByteRange, ObjectHead, ObjectStore, ObjectWriter, WrittenObject } from './object-store.ts'
import { S3ObjectWriter } from './s3-object-writer.ts'
import { S3PartUploads } from './s3-part-uploads.ts'
import { signByChecksum } from './sign-by-checksum.ts'

const connectMillis = 3000
/** How often a range is gone on with whose body was cut. */
const bodyTries = 3

/** Amazon S3 or an endpoint of its protocol (AWS_ENDPOINT_URL_S3). */
export class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client
  readonly #presigner: S3Client
  readonly #bucket: string
  readonly partUploads: S3PartUploads

  /** @param options.stallMillis a request on which nothing moves for so long is tried again on another connection */
  constructor(options: { bucket: string; pathStyle: boolean; stallMillis?: number }) {
    const { pathStyle, stallMillis = 8000 } = options
    const requestHandler = { connectionTimeout: connectMillis, socketTimeout: stallMillis }
    const common = { forcePathStyle: pathStyle, maxAttempts: 4, requestHandler }
    this.#client = new S3Client(common)
    signByChecksum(this.#client)
    // Otherwise the presigned URL demands a CRC that no plain uploader sends.
    this.#presigner = new S3Client({ ...common, requestChecksumCalculation: 'WHEN_REQUIRED' })
    this.#bucket = options.bucket
    this.partUploads = new S3PartUploads({
      client: this.#client,
      presigner: this.#presigner,
      bucket: options.bucket,
    })
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectHead | null> {
    try {
      const answer = await this.#client.send(
        new HeadObjectCommand({ Bucket: this.#bucket, Key: key, ChecksumMode: 'ENABLED' }),
        withSignal(signal),
      )
      // A composite checksum ("…-3") is of the parts, not of the object.
      const whole = answer.ChecksumSHA256 !== undefined && !answer.ChecksumSHA256.includes('-')
      return {
        bytes: answer.ContentLength ?? 0,
        sha256: whole ? Buffer.from(answer.ChecksumSHA256 as string, 'base64').toString('hex') : null,
      }
    } catch (error) {
      if (isNotFound(error)) return null
      throw error
    }
  }

  async read(
    key: string,
    { range, signal }: { range?: ByteRange; signal?: AbortSignal } = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    try {
      const answer = await this.#client.send(
        new GetObjectCommand({
          Bucket: this.#bucket,
          Key: key,
          ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
        }),
        withSignal(signal),
      )
      return answer.Body as unknown as AsyncIterable<Uint8Array>
    } catch (error) {
      if (isNotFound(error))
        throw new TributaryError('NOT_FOUND', { detail: 'the object is not in storage', cause: error })
      throw error
    }
  }

  async readRange(
    key: string,
    range: ByteRange,
    signal?: AbortSignal,
    bytes = new Uint8Array(range.end - range.start),
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (bytes.length !== range.end - range.start) throw new RangeError('the memory is not as long as the range')
    if (bytes.length === 0) return bytes
    let filled = 0
    for (let tries = 1; ; tries += 1) {
      const rest = { start: range.start + filled, end: range.end }
      const body = await this.read(key, { range: rest, ...withOptionalSignal(signal) })
      try {
        for await (const chunk of body) {
          if (filled + chunk.length > bytes.length) break
          bytes.set(chunk, filled)
          filled += chunk.length
        }
        break
      } catch (error) {
        if (filled === bytes.length) break
        // The SDK repeats what failed before the body began, and nothing after.
        if (tries === bodyTries || signal?.aborted) throw error
      }
    }
    if (filled !== bytes.length) {
      throw new TributaryError('UNAVAILABLE', {
        cause: new Error(`object ${key} gave ${filled} of ${bytes.length} bytes from ${range.start}`),
      })
    }
    return bytes
  }

  async readAll(key: string, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const head = await this.head(key, signal)
    if (head === null) throw new TributaryError('NOT_FOUND', { detail: 'the object is not in storage' })
    if (head.bytes > maxBytes) {
      throw new TributaryError('BODY_TOO_LARGE', { detail: `the object has ${head.bytes} bytes, at most ${maxBytes}` })
    }
    return this.readRange(key, { start: 0, end: head.bytes }, signal)
  }

  async put(
    key: string,
    bytes: Uint8Array,
    options: { contentType?: string; signal?: AbortSignal } = {},
  ): Promise<WrittenObject> {
    const digest = createHash('sha256').update(bytes).digest()
    await this.#client.send(
      new PutObjectCommand({
        Bucket: this.#bucket,
        Key: key,
        Body: bytes,
        ContentLength: bytes.length,
        ContentType: options.contentType ?? 'application/octet-stream',
        ChecksumSHA256: digest.toString('base64'),
      }),
      withSignal(options.signal),
    )
    return { sha256: digest.toString('hex'), bytes: bytes.length }
  }

  openWriter(key: string, options: { contentType?: string; signal?: AbortSignal } = {}): ObjectWriter {
    return new S3ObjectWriter({ client: this.#client, bucket: this.#bucket, key, ...options })
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }), withSignal(signal))
  }

  async list(prefix: string, most: number, signal?: AbortSignal): Promise<string[]> {
    const { Contents = [] } = await this.#client.send(
      new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, MaxKeys: most }),
      withSignal(signal),
    )
    return Contents.flatMap(({ Key }) => (Key === undefined ? [] : [Key]))
  }

  async presignPut(key: string, file: { sha256: string; bytes: number }, seconds: number): Promise<Upload> {
    const checksum = Buffer.from(file.sha256, 'hex').toString('base64')
    const expiresAt = new Date(Date.now() + seconds * 1000).toISOString()
    const url = await getSignedUrl(
      this.#presigner,
      new PutObjectCommand({
        Bucket: this.#bucket,
        Key: key,
        ContentLength: file.bytes,
        ContentType: 'application/octet-stream',
        ChecksumSHA256: checksum,
      }),
      {
        expiresIn: seconds,
        // Signed as headers, so that the store refuses other bytes and another size.
        unhoistableHeaders: new Set(['x-amz-checksum-sha256']),
        signableHeaders: new Set(['host', 'content-length', 'content-type', 'x-amz-checksum-sha256']),
      },
    )
    return {
      method: 'PUT',
      url,
      headers: {
        'content-length': String(file.bytes),
        'content-type': 'application/octet-stream',
        'x-amz-checksum-sha256': checksum,
      },
      expiresAt,
    }
  }

  async presignGet(
    key: string,
    { filename, seconds }: { filename: string; seconds: number },
  ): Promise<{ url: string; expiresAt: string }> {
    const expiresAt = new Date(Date.now() + seconds * 1000).toISOString()
    const url = await getSignedUrl(
      this.#presigner,
      new GetObjectCommand({
        Bucket: this.#bucket,
        Key: key,
        ResponseContentDisposition: `attachment; filename="${filename}"`,
      }),
      { expiresIn: seconds },
    )
    return { url, expiresAt }
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket }), { abortSignal: signal })
  }
}

const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal })
const withOptionalSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal })

const isNotFound = (error: unknown): boolean => {
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } }
  return name === 'NotFound' || name === 'NoSuchKey' || $metadata?.httpStatusCode === 404
}
