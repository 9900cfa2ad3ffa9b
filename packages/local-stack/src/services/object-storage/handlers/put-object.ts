import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import type { ObjectRecord } from '../object-record.ts'
import { receiveBody } from '../receive-body.ts'
import { StorageError } from '../storage-error.ts'
import { checksumHeaders, type ObjectRequest, storedHeaders, writeCondition } from '../storage-request.ts'

/** `PUT /<bucket>/<key>` */
export async function putObject({
  request,
  response,
  bucket,
  key,
  payloadHash,
  maxPutBytes,
}: ObjectRequest): Promise<void> {
  if (request.headers['x-amz-copy-source'] !== undefined)
    throw new StorageError('NotImplemented', 'CopyObject is not served')
  const condition = writeCondition(request.headers)
  const headers = storedHeaders(request.headers)
  bucket.check(key, condition)
  const options = { folder: bucket.incoming, maxBytes: maxPutBytes, payloadHash, defaultChecksum: 'crc32' } as const
  const body = await receiveBody(request, options)
  const record: ObjectRecord = {
    key,
    bytes: body.bytes,
    etag: body.md5,
    modified: new Date().toISOString(),
    checksum: body.checksum,
    headers,
    segments: [{ file: basename(body.file), bytes: body.bytes }],
  }
  try {
    await bucket.put(record, [body.file], condition)
  } finally {
    await rm(body.file, { force: true })
  }
  response.writeHead(200, { etag: `"${record.etag}"`, ...checksumHeaders(record.checksum) }).end()
}
