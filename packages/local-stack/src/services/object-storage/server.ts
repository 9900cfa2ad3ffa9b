import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { splitUrl } from '../aws-signature/canonical-request.ts'
import { SignatureError, verifySignature } from '../aws-signature/verify-signature.ts'
import type { Buckets } from './buckets.ts'
import type { ObjectStorageConfig } from './config.ts'
import { answerPreflight, setCorsHeaders } from './cors.ts'
import { deleteObject } from './handlers/delete-object.ts'
import { getObject } from './handlers/get-object.ts'
import { listObjects } from './handlers/list-objects.ts'
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listParts,
  uploadPart,
} from './handlers/multipart.ts'
import { putObject } from './handlers/put-object.ts'
import { StorageError } from './storage-error.ts'
import { type ObjectRequest, sendXml } from './storage-request.ts'
import { errorXml, toXml, type XmlNode } from './xml.ts'

const maxKeyBytes = 1024
// Features that would change what an operation means; better refused than overlooked.
const unserved = [
  'acl',
  'tagging',
  'versioning',
  'versions',
  'versionId',
  'policy',
  'lifecycle',
  'encryption',
  'delete',
  'torrent',
  'select',
]

/** The S3 endpoint, path style: `/<bucket>/<key>`. */
export function createStorageServer(buckets: Buckets, config: ObjectStorageConfig): Server {
  const server = createServer(
    { headersTimeout: 15_000, requestTimeout: 0, maxHeaderSize: 16 * 1024 },
    (request, response) => {
      void serve(request, response, buckets, config)
    },
  )
  // The pause between two bytes is bounded, not the whole transfer: large models over slow links take long.
  server.timeout = 60_000
  server.maxConnections = 1000
  return server
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  buckets: Buckets,
  config: ObjectStorageConfig,
): Promise<void> {
  try {
    if (answerPreflight(request, response, config.OBJECT_STORAGE_CORS_ORIGINS)) return
    setCorsHeaders(request, response, config.OBJECT_STORAGE_CORS_ORIGINS)
    const credentials = {
      accessKeyId: config.OBJECT_STORAGE_ACCESS_KEY_ID,
      secretAccessKey: config.OBJECT_STORAGE_SECRET_ACCESS_KEY,
    }
    const { method = '', url = '', headers } = request
    const { payloadHash } = verifySignature({ method, url, headers }, { credentials, service: 's3', now: new Date() })
    const parts = splitUrl(url)
    if (!parts) throw new StorageError('InvalidRequest', 'the URL is not valid UTF-8')
    const query = new Map(parts.query)
    const refused = unserved.find(name => query.has(name))
    if (refused !== undefined) throw new StorageError('NotImplemented', `?${refused} is not served`)
    const [bucketName = '', ...rest] = parts.path.slice(1).split('/').map(decodeURIComponent)
    const key = rest.join('/')
    if (bucketName === '') return listBuckets(request, response, buckets)
    if (key === '') return await serveBucket(request, response, bucketName, query, buckets)
    if (Buffer.byteLength(key) > maxKeyBytes)
      throw new StorageError('KeyTooLongError', `a key is at most ${maxKeyBytes} bytes`)
    const asked = {
      request,
      response,
      ...buckets.get(bucketName),
      key,
      query,
      payloadHash,
      maxPutBytes: config.OBJECT_STORAGE_MAX_PUT_BYTES,
    }
    await operationFor(asked)(asked)
  } catch (error) {
    refuse(request, response, error)
  }
}

function operationFor({ request, query }: ObjectRequest): (asked: ObjectRequest) => Promise<void> {
  const upload = query.has('uploadId')
  const operations = new Map([
    ['PUT', upload ? uploadPart : putObject],
    ['GET', upload ? listParts : getObject],
    ['HEAD', getObject],
    ['DELETE', upload ? abortMultipartUpload : deleteObject],
    ['POST', upload ? completeMultipartUpload : query.has('uploads') ? createMultipartUpload : undefined],
  ])
  const operation = operations.get(request.method ?? '')
  if (!operation)
    throw new StorageError('MethodNotAllowed', 'The specified method is not allowed against this resource.')
  return operation
}

async function serveBucket(
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  query: ReadonlyMap<string, string>,
  buckets: Buckets,
): Promise<void> {
  if (request.method === 'PUT') {
    await buckets.create(name)
    response.writeHead(200, { location: `/${name}` }).end()
    return
  }
  const { bucket } = buckets.get(name)
  if (request.method === 'HEAD') response.writeHead(200, { 'x-amz-bucket-region': 'local' }).end()
  else if (request.method === 'GET' && query.get('list-type') === '2') listObjects(bucket, query, response)
  else throw new StorageError('NotImplemented', 'of a bucket only creating, HEAD and ListObjectsV2 are served')
}

function listBuckets(request: IncomingMessage, response: ServerResponse, buckets: Buckets): void {
  if (request.method !== 'GET')
    throw new StorageError('MethodNotAllowed', 'The specified method is not allowed against this resource.')
  const list = buckets.names().map((name): XmlNode => ['Bucket', [['Name', name]]])
  sendXml(response, toXml('ListAllMyBucketsResult', [['Buckets', list]]))
}

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const known = error instanceof SignatureError ? new StorageError(error.code, error.message) : error
  const refusal =
    known instanceof StorageError
      ? known
      : new StorageError('InternalError', 'We encountered an internal error. Please try again.')
  const gone = (error as NodeJS.ErrnoException | undefined)?.code
  if (refusal.code === 'InternalError' && gone !== 'ECONNRESET' && gone !== 'ERR_STREAM_PREMATURE_CLOSE')
    console.error(error)
  // Half an object was sent: only a broken connection tells the client so.
  if (response.headersSent) return void response.destroy()
  // The rest of a refused body is not waited for.
  if (!request.complete) response.setHeader('connection', 'close')
  response.writeHead(refusal.status, { 'content-type': 'application/xml' })
  response.end(request.method === 'HEAD' ? undefined : errorXml(refusal.code, refusal.message, request.url ?? ''))
}
