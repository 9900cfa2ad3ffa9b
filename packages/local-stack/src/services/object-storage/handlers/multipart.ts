import { rm } from 'node:fs/promises'
import { checksumName } from '../checksums.ts'
import { maxPartNumber } from '../multipart-uploads.ts'
import { readText } from '../read-text.ts'
import { receiveBody } from '../receive-body.ts'
import { StorageError } from '../storage-error.ts'
import {
  checksumHeaders,
  header,
  type ObjectRequest,
  promisedObjectChecksum,
  sendXml,
  storedHeaders,
  writeCondition,
} from '../storage-request.ts'
import { parseCompleteUpload, toXml, type XmlNode } from '../xml.ts'

const maxCompleteBytes = 4 * 1024 * 1024

/** `POST /<bucket>/<key>?uploads` */
export async function createMultipartUpload({ request, response, bucket, uploads, key }: ObjectRequest): Promise<void> {
  const algorithm = header(request.headers, 'x-amz-checksum-algorithm')
  const checksum = checksumName(algorithm)
  if (algorithm !== undefined && !checksum)
    throw new StorageError('InvalidRequest', 'this checksum algorithm is not known')
  const type = header(request.headers, 'x-amz-checksum-type')
  const fullObject = type === 'FULL_OBJECT' || (type === undefined && checksum === 'crc64nvme')
  const id = await uploads.create({
    key,
    headers: storedHeaders(request.headers),
    fullObject,
    ...(checksum ? { checksum } : {}),
  })
  const described = checksum && {
    'x-amz-checksum-algorithm': checksum.toUpperCase(),
    'x-amz-checksum-type': fullObject ? 'FULL_OBJECT' : 'COMPOSITE',
  }
  sendXml(
    response,
    toXml('InitiateMultipartUploadResult', [
      ['Bucket', bucket.name],
      ['Key', key],
      ['UploadId', id],
    ]),
    described || {},
  )
}

/** `PUT /<bucket>/<key>?partNumber=&uploadId=` */
export async function uploadPart({
  request,
  response,
  bucket,
  uploads,
  key,
  query,
  payloadHash,
  maxPutBytes,
}: ObjectRequest): Promise<void> {
  const id = query.get('uploadId') ?? ''
  const number = Number(query.get('partNumber'))
  if (!Number.isInteger(number) || number < 1 || number > maxPartNumber) {
    throw new StorageError('InvalidArgument', `a part number is from 1 to ${maxPartNumber}`)
  }
  const upload = await uploads.get(id, key)
  const body = await receiveBody(request, {
    folder: bucket.incoming,
    maxBytes: maxPutBytes,
    payloadHash,
    defaultChecksum: upload.checksum ?? 'crc32',
  })
  try {
    if (upload.checksum && body.checksum.name !== upload.checksum) {
      throw new StorageError(
        'InvalidRequest',
        `this upload's checksum is ${upload.checksum}, not ${body.checksum.name}`,
      )
    }
    const part = await uploads.addPart(id, number, body)
    response
      .writeHead(200, { etag: `"${part.md5}"`, [`x-amz-checksum-${part.checksum.name}`]: part.checksum.value })
      .end()
  } finally {
    await rm(body.file, { force: true })
  }
}

/** `POST /<bucket>/<key>?uploadId=` */
export async function completeMultipartUpload(asked: ObjectRequest): Promise<void> {
  const { request, response, bucket, uploads, key, query } = asked
  const id = query.get('uploadId') ?? ''
  const upload = await uploads.get(id, key)
  const named = parseCompleteUpload(await readText(request, maxCompleteBytes, asked.payloadHash))
  if (named.length > maxPartNumber)
    throw new StorageError('InvalidArgument', `an object has at most ${maxPartNumber} parts`)
  const record = await uploads.complete(
    id,
    upload,
    named,
    promisedObjectChecksum(request.headers),
    writeCondition(request.headers),
  )
  const checksum = checksumHeaders(record.checksum)
  const content: XmlNode[] = [
    ['Location', `/${bucket.name}/${key}`],
    ['Bucket', bucket.name],
    ['Key', key],
    ['ETag', `"${record.etag}"`],
    [`Checksum${record.checksum.name.toUpperCase()}`, record.checksum.value],
    ['ChecksumType', checksum['x-amz-checksum-type'] ?? ''],
  ]
  sendXml(response, toXml('CompleteMultipartUploadResult', content))
}

/** `DELETE /<bucket>/<key>?uploadId=` */
export async function abortMultipartUpload({ response, uploads, key, query }: ObjectRequest): Promise<void> {
  const id = query.get('uploadId') ?? ''
  await uploads.get(id, key)
  await uploads.abort(id)
  response.writeHead(204).end()
}

/** `GET /<bucket>/<key>?uploadId=` */
export async function listParts({ response, bucket, uploads, key, query }: ObjectRequest): Promise<void> {
  const id = query.get('uploadId') ?? ''
  const parts = await uploads.list(id, key)
  const after = Number(query.get('part-number-marker') ?? 0) || 0
  const most = Math.min(Math.max(Number(query.get('max-parts') ?? 1000) || 1000, 1), 1000)
  const left = parts.filter(part => part.number > after)
  const page = left.slice(0, most)
  const last = page.at(-1)
  const content: XmlNode[] = [
    ['Bucket', bucket.name],
    ['Key', key],
    ['UploadId', id],
    ['PartNumberMarker', after],
    ...(last ? [['NextPartNumberMarker', last.number] as const] : []),
    ['MaxParts', most],
    ['IsTruncated', left.length > page.length],
    ...page.map(
      part =>
        [
          'Part',
          [
            ['PartNumber', part.number],
            ['LastModified', part.modified],
            ['ETag', `"${part.md5}"`],
            ['Size', part.bytes],
            [`Checksum${part.checksum.name.toUpperCase()}`, part.checksum.value],
          ],
        ] as XmlNode,
    ),
  ]
  sendXml(response, toXml('ListPartsResult', content))
}
