import { createHash, type Hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { ObjectRef } from '@tributary/contracts/ids'
import { backoffMillis } from '../clock.ts'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import { type FileRange, RangeReader } from '../log/sealed-file.ts'
import { ObjectMissingError, type ObjectStore } from './object-store.ts'

/** S3 takes parts of at least 5 MiB and at most 10 000 of them. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const leastPartBytes = 8 * 1024 * 1024
const mostParts = 10_000

const connectMillis = 3000
/** Cuts in a row, without a byte in between, after which a download is given up. */
const mostCuts = 5
const abortMillis = 10_000

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')

/** @throws LogCorruptError */
const checkSha256 = (found: Hash, { objectKey, sha256 }: ObjectRef): void => {
  if (found.digest('hex') !== sha256) throw new LogCorruptError(`the file for ${objectKey} does not have its sha256`)
}

type Download = {
  readonly body: AsyncIterable<Uint8Array>
  readonly bytes: number | undefined
  readonly etag: string | undefined
}

/** Object storage by the AWS SDK; endpoint, region and credentials come from the SDK's own environment. */
export class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client
  readonly #bucket: string

  /** @param options.stallMillis a connection on which nothing moves for so long is given up, and the request tried again */
  constructor(bucket: string, options: { pathStyle: boolean; stallMillis?: number }) {
    const { pathStyle, stallMillis = 10_000 } = options
    const requestHandler = { connectionTimeout: connectMillis, socketTimeout: stallMillis }
    this.#bucket = bucket
    this.#client = new S3Client({ forcePathStyle: pathStyle, maxAttempts: 5, requestHandler })
  }

  async read(objectKey: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const first = await this.#get(objectKey, signal)
    return this.#resumed(objectKey, first, signal)
  }

  /** The chunks of an object; a body that is cut goes on where it ended. The SDK repeats what fails before it begins, and nothing after. */
  async *#resumed(objectKey: string, first: Download, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let { body } = first
    let received = 0
    for (let cuts = 0; ; ) {
      try {
        for await (const chunk of body) {
          received += chunk.byteLength
          cuts = 0
          yield chunk
        }
        return
      } catch (error) {
        signal.throwIfAborted()
        cuts += 1
        if (received === first.bytes) return
        if (cuts > mostCuts) throw error
        await sleep(backoffMillis(cuts - 1, 100, 2000), undefined, { signal })
        body = (await this.#get(objectKey, signal, { start: received, etag: first.etag })).body
      }
    }
  }

  async #get(
    objectKey: string,
    signal: AbortSignal,
    rest?: { start: number; etag: string | undefined },
  ): Promise<Download> {
    try {
      const command = new GetObjectCommand({
        Bucket: this.#bucket,
        Key: objectKey,
        // Never the rest of another object.
        ...(rest === undefined ? {} : { Range: `bytes=${rest.start}-`, IfMatch: rest.etag }),
      })
      const { Body, ContentLength, ETag } = await this.#client.send(command, { abortSignal: signal })
      if (Body === undefined) throw new ObjectMissingError(`object ${objectKey} has no body`)
      return { body: Body as unknown as AsyncIterable<Uint8Array>, bytes: ContentLength, etag: ETag }
    } catch (error) {
      if (error instanceof NoSuchKey) throw new ObjectMissingError(`there is no object ${objectKey}`, { cause: error })
      throw error
    }
  }

  async write(file: FileRange, object: ObjectRef, signal: AbortSignal): Promise<void> {
    await using reader = await RangeReader.open(file)
    if (object.bytes > leastPartBytes) return await this.#writeParts(reader, object, signal)
    const Body = await reader.range(0, object.bytes)
    checkSha256(createHash('sha256').update(Body), object)
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: object.objectKey,
      Body,
      ContentLength: object.bytes,
      ChecksumSHA256: base64(object.sha256),
    })
    await this.#client.send(command, { abortSignal: signal })
  }

  [Symbol.dispose](): void {
    this.#client.destroy()
  }

  async #writeParts(reader: RangeReader, object: ObjectRef, signal: AbortSignal): Promise<void> {
    const { objectKey, bytes } = object
    const target = { Bucket: this.#bucket, Key: objectKey }
    const options = { abortSignal: signal }
    const created = await this.#client.send(
      new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'SHA256' }),
      options,
    )
    const upload = { ...target, UploadId: created.UploadId }
    const partBytes = Math.max(leastPartBytes, Math.ceil(bytes / mostParts))
    const parts: CompletedPart[] = []
    // S3 verifies each part as it is read here, and knows no sha256 of them all.
    const whole = createHash('sha256')
    try {
      for (let offset = 0; offset < bytes; offset += partBytes) {
        const Body = await reader.range(offset, Math.min(partBytes, bytes - offset))
        whole.update(Body)
        const ChecksumSHA256 = createHash('sha256').update(Body).digest('base64')
        const PartNumber = parts.length + 1
        const part = new UploadPartCommand({ ...upload, PartNumber, Body, ChecksumSHA256 })
        const { ETag } = await this.#client.send(part, options)
        parts.push({ PartNumber, ETag, ChecksumSHA256 })
      }
      checkSha256(whole, object)
      await this.#client.send(
        new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } }),
        options,
      )
    } catch (error) {
      // What is left behind otherwise costs storage; the bucket's lifecycle rule is the backstop.
      await this.#client
        .send(new AbortMultipartUploadCommand(upload), { abortSignal: AbortSignal.timeout(abortMillis) })
        .catch(() => {})
      throw error
    }
  }
}
