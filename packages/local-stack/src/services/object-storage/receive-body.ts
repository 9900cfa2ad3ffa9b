import { createHash, randomUUID } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { decodeAwsChunked } from './aws-chunked.ts'
import { type Checksum, type ChecksumName, checksumName, checksumNames, startChecksum } from './checksums.ts'
import { StorageError } from './storage-error.ts'

export interface ReceivedBody {
  readonly file: string
  readonly bytes: number
  /** Hexadecimal. */
  readonly md5: string
  readonly checksum: Checksum
}

export interface ReceiveOptions {
  /** Folder for files that are not objects yet. */
  readonly folder: string
  readonly maxBytes: number
  /** Declared in the signature: hexadecimal SHA-256, `UNSIGNED-PAYLOAD` or `STREAMING-…`. */
  readonly payloadHash: string
  /** Kept when the client sends none itself. */
  readonly defaultChecksum: ChecksumName
}

const streaming = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'

/**
 * Streams a body into a durable file and verifies everything that was promised of it: length, SHA-256 of the signature,
 * Content-MD5 and the checksum in header or trailer. On any fault the file is gone.
 *
 * @throws StorageError
 */
export async function receiveBody(request: IncomingMessage, options: ReceiveOptions): Promise<ReceivedBody> {
  const { headers } = request
  const chunked = options.payloadHash === streaming
  if (
    !chunked &&
    (options.payloadHash.startsWith('STREAMING-') || /aws-chunked/i.test(headers['content-encoding'] ?? ''))
  ) {
    throw new StorageError('NotImplemented', 'of the streamed bodies only STREAMING-UNSIGNED-PAYLOAD-TRAILER is served')
  }
  const length = declaredLength(headers, chunked)
  if (length > options.maxBytes)
    throw new StorageError('EntityTooLarge', `an object or part is at most ${options.maxBytes} bytes`)
  const promised = promisedChecksum(headers)
  const trailers = new Map<string, string>()
  const payload = chunked ? decodeAwsChunked(request, trailers) : (request as AsyncIterable<Buffer>)
  const file = join(options.folder, randomUUID())
  try {
    const name = promised?.name ?? options.defaultChecksum
    const signed = /^[0-9a-f]{64}$/.test(options.payloadHash)
    const found = await writeAndHash(payload, file, length, name, signed || name === 'sha256')
    const value = promised?.value ?? trailers.get(`x-amz-checksum-${name}`)
    if (promised && value === undefined)
      throw new StorageError('InvalidRequest', `the trailer has no x-amz-checksum-${name}`)
    if (value !== undefined && value !== found.checksum.value) {
      throw new StorageError('BadDigest', `the ${name} of the body is ${found.checksum.value}, not ${value}`)
    }
    if (signed && options.payloadHash !== found.sha256) {
      throw new StorageError('XAmzContentSHA256Mismatch', 'the SHA-256 of the body is not the signed one')
    }
    const md5 = headers['content-md5']
    if (md5 !== undefined && md5 !== Buffer.from(found.md5, 'hex').toString('base64')) {
      throw new StorageError('BadDigest', 'the MD5 of the body is not that of Content-MD5')
    }
    return { file, bytes: length, md5: found.md5, checksum: found.checksum }
  } catch (error) {
    await rm(file, { force: true })
    throw error
  }
}

function declaredLength(headers: IncomingHttpHeaders, chunked: boolean): number {
  const declared = chunked ? headers['x-amz-decoded-content-length'] : headers['content-length']
  const text = Array.isArray(declared) ? declared[0] : declared
  if (text === undefined) throw new StorageError('MissingContentLength', 'the length of the body must be told before')
  if (!/^\d{1,15}$/.test(text)) throw new StorageError('InvalidArgument', 'the length of the body is no number')
  return Number(text)
}

/** What the client promises: a header now, or a trailer later (then without value). */
function promisedChecksum(headers: IncomingHttpHeaders): { name: ChecksumName; value: string | undefined } | undefined {
  const inHeaders = checksumNames.filter(name => headers[`x-amz-checksum-${name}`] !== undefined)
  if (inHeaders.length > 1) throw new StorageError('InvalidRequest', 'only one checksum may be sent')
  const [name] = inHeaders
  if (name) return { name, value: String(headers[`x-amz-checksum-${name}`]) }
  const trailer = headers['x-amz-trailer']
  if (trailer === undefined) return undefined
  const trailing = checksumName(String(trailer).toLowerCase().replace('x-amz-checksum-', ''))
  if (!trailing) throw new StorageError('InvalidRequest', 'x-amz-trailer must name one checksum')
  return { name: trailing, value: undefined }
}

async function writeAndHash(
  payload: AsyncIterable<Buffer>,
  file: string,
  length: number,
  name: ChecksumName,
  hashed: boolean,
) {
  const md5 = createHash('md5')
  const sha256 = hashed ? createHash('sha256') : undefined
  const checksum = name === 'sha256' ? undefined : startChecksum(name)
  const handle = await open(file, 'wx', 0o600)
  let bytes = 0
  try {
    for await (const chunk of payload) {
      bytes += chunk.length
      if (bytes > length)
        throw new StorageError('IncompleteBody', `the body is longer than the ${length} bytes told before`)
      md5.update(chunk)
      sha256?.update(chunk)
      checksum?.update(chunk)
      for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten
    }
    if (bytes !== length)
      throw new StorageError('IncompleteBody', `the body has ${bytes} bytes of the ${length} told before`)
    await handle.datasync()
  } finally {
    await handle.close()
  }
  const hash = sha256?.digest()
  const digest = checksum ? checksum.digest() : (hash ?? Buffer.alloc(0))
  return { md5: md5.digest('hex'), sha256: hash?.toString('hex'), checksum: { name, value: digest.toString('base64') } }
}
