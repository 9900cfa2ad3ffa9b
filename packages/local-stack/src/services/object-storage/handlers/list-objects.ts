import type { ServerResponse } from 'node:http'
import type { Bucket } from '../bucket.ts'
import { StorageError } from '../storage-error.ts'
import { sendXml } from '../storage-request.ts'
import { toXml, type XmlNode } from '../xml.ts'

const mostKeys = 1000

/** `GET /<bucket>?list-type=2` */
export function listObjects(bucket: Bucket, query: ReadonlyMap<string, string>, response: ServerResponse): void {
  const prefix = query.get('prefix') ?? ''
  const delimiter = query.get('delimiter') ?? ''
  const token = query.get('continuation-token')
  const asked = query.get('max-keys') ?? String(mostKeys)
  if (!/^\d{1,9}$/.test(asked)) throw new StorageError('InvalidArgument', 'max-keys must be a whole number')
  const most = Math.min(Number(asked), mostKeys)
  const after = token === undefined ? (query.get('start-after') ?? '') : readToken(token)
  const page = list(bucket.sortedKeys(), { prefix, delimiter, after, most })
  const url = query.get('encoding-type') === 'url'
  const shown = (text: string) => (url ? encodeURIComponent(text).replaceAll('%2F', '/') : text)
  const contents = page.keys.map((key): XmlNode => {
    const record = bucket.get(key)
    return [
      'Contents',
      [
        ['Key', shown(key)],
        ['LastModified', record.modified],
        ['ETag', `"${record.etag}"`],
        ['ChecksumAlgorithm', record.checksum.name.toUpperCase()],
        ['Size', record.bytes],
        ['StorageClass', 'STANDARD'],
      ],
    ]
  })
  sendXml(
    response,
    toXml('ListBucketResult', [
      ['Name', bucket.name],
      ['Prefix', shown(prefix)],
      ...(delimiter ? [['Delimiter', shown(delimiter)] as const] : []),
      ['MaxKeys', most],
      ['KeyCount', page.keys.length + page.prefixes.length],
      ['IsTruncated', page.next !== undefined],
      ...(url ? [['EncodingType', 'url'] as const] : []),
      ...(token === undefined ? [] : [['ContinuationToken', token] as const]),
      ...(page.next === undefined
        ? []
        : [['NextContinuationToken', Buffer.from(page.next).toString('base64url')] as const]),
      ...contents,
      ...page.prefixes.map((common): XmlNode => ['CommonPrefixes', [['Prefix', shown(common)]]]),
    ]),
  )
}

interface Page {
  readonly keys: string[]
  readonly prefixes: string[]
  /** The last key or common prefix of this page, when there are more. */
  readonly next: string | undefined
}

interface ListOptions {
  readonly prefix: string
  readonly delimiter: string
  readonly after: string
  readonly most: number
}

function list(sorted: readonly string[], { prefix, delimiter, after, most }: ListOptions): Page {
  const keys: string[] = []
  const prefixes: string[] = []
  let last: string | undefined
  for (const key of sorted) {
    if (!key.startsWith(prefix)) continue
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const entry = cut < 0 ? key : key.slice(0, cut + delimiter.length)
    if (Buffer.compare(Buffer.from(entry), Buffer.from(after)) <= 0 || entry === last) continue
    if (keys.length + prefixes.length >= most) return { keys, prefixes, next: last }
    if (cut < 0) keys.push(entry)
    else prefixes.push(entry)
    last = entry
  }
  return { keys, prefixes, next: undefined }
}

function readToken(token: string): string {
  if (!/^[A-Za-z0-9_-]{1,2048}$/.test(token))
    throw new StorageError('InvalidArgument', 'The continuation token provided is incorrect')
  return Buffer.from(token, 'base64url').toString('utf8')
}
