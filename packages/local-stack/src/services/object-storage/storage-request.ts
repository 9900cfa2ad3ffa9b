import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Bucket, WriteCondition } from './bucket.ts'
import { type Checksum, checksumNames } from './checksums.ts'
import type { MultipartUploads } from './multipart-uploads.ts'
import type { ObjectRecord } from './object-record.ts'
import { StorageError } from './storage-error.ts'

/** One verified request for an object of a bucket. */
export interface ObjectRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly bucket: Bucket
  readonly uploads: MultipartUploads
  readonly key: string
  readonly query: ReadonlyMap<string, string>
  /** From the signature; see `receiveBody`. */
  readonly payloadHash: string
  readonly maxPutBytes: number
}

const keptHeaders = ['content-type', 'cache-control', 'content-disposition', 'content-language', 'expires']
const maxMetadataBytes = 2048

export function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

export function writeCondition(headers: IncomingHttpHeaders): WriteCondition {
  return { ifNoneMatch: header(headers, 'if-none-match'), ifMatch: header(headers, 'if-match') }
}

/**
 * The headers that are stored with an object and given back.
 *
 * @throws StorageError InvalidArgument when the metadata is over 2 KB
 */
export function storedHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const names = Object.keys(headers).filter(name => keptHeaders.includes(name) || name.startsWith('x-amz-meta-'))
  const kept = names.map((name): [string, string] => [name, header(headers, name) ?? ''])
  const encoding = (header(headers, 'content-encoding') ?? '').split(',').map(part => part.trim())
  const rest = encoding.filter(part => part !== '' && part.toLowerCase() !== 'aws-chunked').join(',')
  if (rest) kept.push(['content-encoding', rest])
  const bytes = kept.reduce(
    (sum, [name, value]) => sum + (name.startsWith('x-amz-meta-') ? name.length + value.length : 0),
    0,
  )
  if (bytes > maxMetadataBytes)
    throw new StorageError('InvalidArgument', `metadata is at most ${maxMetadataBytes} bytes`)
  return Object.fromEntries(kept)
}

export function checksumHeaders({ name, value }: Checksum): Record<string, string> {
  return { [`x-amz-checksum-${name}`]: value, 'x-amz-checksum-type': value.includes('-') ? 'COMPOSITE' : 'FULL_OBJECT' }
}

/** A checksum that the client sends of a whole multipart object. */
export function promisedObjectChecksum(headers: IncomingHttpHeaders): string | undefined {
  for (const name of checksumNames) {
    const value = header(headers, `x-amz-checksum-${name}`)
    if (value !== undefined) return value
  }
  return undefined
}

export function objectHeaders(record: ObjectRecord): Record<string, string> {
  return {
    'content-type': 'binary/octet-stream',
    ...record.headers,
    etag: `"${record.etag}"`,
    'last-modified': new Date(record.modified).toUTCString(),
    'accept-ranges': 'bytes',
  }
}

export function sendXml(response: ServerResponse, xml: string, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/xml', ...headers }).end(xml)
}
