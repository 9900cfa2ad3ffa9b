import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { matches } from '../bucket.ts'
import type { ObjectRecord } from '../object-record.ts'
import { StorageError } from '../storage-error.ts'
import { checksumHeaders, header, type ObjectRequest, objectHeaders } from '../storage-request.ts'

const overrides = [
  'content-type',
  'content-disposition',
  'content-encoding',
  'content-language',
  'cache-control',
  'expires',
]

/** `GET` and `HEAD /<bucket>/<key>`, whole or one range. */
export async function getObject({ request, response, bucket, key, query }: ObjectRequest): Promise<void> {
  const record = bucket.get(key)
  const { headers } = request
  const ifMatch = header(headers, 'if-match')
  if (ifMatch !== undefined && !matches(ifMatch, record.etag)) {
    throw new StorageError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
  }
  const ifNoneMatch = header(headers, 'if-none-match')
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, record.etag)) {
    response.writeHead(304, { etag: `"${record.etag}"` }).end()
    return
  }
  const range = header(headers, 'range')
  const [start, end] = range === undefined ? [0, record.bytes] : parseRange(range, record)
  const whole = start === 0 && end === record.bytes
  response.writeHead(range === undefined ? 200 : 206, {
    ...objectHeaders(record),
    ...overriding(query),
    'content-length': end - start,
    ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${record.bytes}` }),
    ...(whole && header(headers, 'x-amz-checksum-mode')?.toUpperCase() === 'ENABLED'
      ? checksumHeaders(record.checksum)
      : {}),
  })
  if (request.method === 'HEAD') response.end()
  else
    await pipeline(
      Readable.from(bucket.read(record, start, end), { objectMode: false, highWaterMark: 256 * 1024 }),
      response,
    )
}

/** Only one range, `bytes=a-b`, `bytes=a-` or `bytes=-n`; end exclusive. */
function parseRange(range: string, { bytes }: ObjectRecord): [start: number, end: number] {
  const found = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range.trim())
  const [, first = '', last = ''] = found ?? []
  const unsatisfiable = new StorageError('InvalidRange', 'The requested range is not satisfiable')
  if (!found || (first === '' && last === '')) throw unsatisfiable
  if (first === '') {
    if (Number(last) === 0 || bytes === 0) throw unsatisfiable
    return [Math.max(bytes - Number(last), 0), bytes]
  }
  const start = Number(first)
  const end = last === '' ? bytes : Math.min(Number(last) + 1, bytes)
  if (start >= bytes || start >= end) throw unsatisfiable
  return [start, end]
}

function overriding(query: ReadonlyMap<string, string>): Record<string, string> {
  const found = overrides.flatMap(name => {
    const value = query.get(`response-${name}`)
    return value === undefined || /[\r\n]/.test(value) ? [] : [[name, value]]
  })
  return Object.fromEntries(found)
}
