import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { Upload } from '@tributary/contracts/models'
import type { PartUploads, StoredPart } from './part-uploads.ts'

export type S3PartUploadsOptions = {
  readonly client: S3Client
  /** Signs what others send. */
  readonly presigner: S3Client
  readonly bucket: string
}

/** Multipart uploads of S3 with a sha256 for every part. */
export class S3PartUploads implements PartUploads {
  readonly #options: S3PartUploadsOptions

  constructor(options: S3PartUploadsOptions) {
    this.#options = options
  }

  async begin(key: string, signal?: AbortSignal): Promise<string> {
    const { client, bucket } = this.#options
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({
        Bucket: bucket,
        Key: key,
        ContentType: 'application/octet-stream',
        ChecksumAlgorithm: 'SHA256',
      }),
      withSignal(signal),
    )
    if (UploadId === undefined) throw new Error('object storage began a multipart upload without an id')
    return UploadId
  }

  async presign(
    { key, upload, part }: { key: string; upload: string; part: number },
    file: { sha256: string; bytes: number },
    seconds: number,
  ): Promise<Upload> {
    const checksum = Buffer.from(file.sha256, 'hex').toString('base64')
    const expiresAt = new Date(Date.now() + seconds * 1000).toISOString()
    const url = await getSignedUrl(
      this.#options.presigner,
      new UploadPartCommand({
        Bucket: this.#options.bucket,
        Key: key,
        UploadId: upload,
        PartNumber: part,
        ContentLength: file.bytes,
        ChecksumSHA256: checksum,
      }),
      {
        expiresIn: seconds,
        // Signed as headers, so that the store refuses other bytes and another size.
        unhoistableHeaders: new Set(['x-amz-checksum-sha256']),
        signableHeaders: new Set(['host', 'content-length', 'x-amz-checksum-sha256']),
      },
    )
    const headers = { 'content-length': String(file.bytes), 'x-amz-checksum-sha256': checksum }
    return { method: 'PUT', url, headers, expiresAt }
  }

  async send(
    { key, upload, part }: { key: string; upload: string; part: number },
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<StoredPart | null> {
    const digest = createHash('sha256').update(bytes).digest()
    const command = new UploadPartCommand({
      Bucket: this.#options.bucket,
      Key: key,
      UploadId: upload,
      PartNumber: part,
      Body: bytes,
      ContentLength: bytes.length,
      ChecksumSHA256: digest.toString('base64'),
    })
    const answer = await this.#options.client.send(command, withSignal(signal)).catch(nullIfNoUpload)
    return answer && { part, bytes: bytes.length, sha256: digest.toString('hex'), tag: answer.ETag ?? '' }
  }

  async list(key: string, upload: string, signal?: AbortSignal): Promise<StoredPart[] | null> {
    const { client, bucket } = this.#options
    const parts: StoredPart[] = []
    let marker: string | undefined
    do {
      const page = await client
        .send(
          new ListPartsCommand({
            Bucket: bucket,
            Key: key,
            UploadId: upload,
            ...(marker === undefined ? {} : { PartNumberMarker: marker }),
          }),
          withSignal(signal),
        )
        .catch(nullIfNoUpload)
      if (page === null) return null
      for (const { PartNumber = 0, Size = 0, ETag = '', ChecksumSHA256 } of page.Parts ?? []) {
        const sha256 = ChecksumSHA256 === undefined ? null : Buffer.from(ChecksumSHA256, 'base64').toString('hex')
        parts.push({ part: PartNumber, bytes: Size, sha256, tag: ETag })
      }
      marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined
    } while (marker !== undefined)
    return parts
  }

  async complete(key: string, upload: string, parts: readonly StoredPart[], signal?: AbortSignal): Promise<boolean> {
    const { client, bucket } = this.#options
    const named = parts.map(({ part, tag, sha256 }) => ({
      PartNumber: part,
      ETag: tag,
      ...(sha256 === null ? {} : { ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64') }),
    }))
    const command = new CompleteMultipartUploadCommand({
      Bucket: bucket,
      Key: key,
      UploadId: upload,
      MultipartUpload: { Parts: named },
    })
    return (await client.send(command, withSignal(signal)).catch(nullIfNoUpload)) !== null
  }

  async abort(key: string, upload: string, signal?: AbortSignal): Promise<void> {
    const { client, bucket } = this.#options
    await client
      .send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: upload }), withSignal(signal))
      .catch(nullIfNoUpload)
  }
}

const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal })

const nullIfNoUpload = (error: unknown): null => {
  if ((error as { name?: string }).name === 'NoSuchUpload') return null
  throw error
}
