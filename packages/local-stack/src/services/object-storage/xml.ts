import { StorageError } from './storage-error.ts'

export type XmlNode = readonly [name: string, content: string | number | boolean | readonly XmlNode[]]

const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/'

/** A document with S3's namespace. */
export function toXml(name: string, content: readonly XmlNode[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="${namespace}">${content.map(element).join('')}</${name}>`
}

export function errorXml(code: string, message: string, resource: string): string {
  const content: XmlNode[] = [
    ['Code', code],
    ['Message', message],
    ['Resource', resource],
  ]
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${content.map(element).join('')}</Error>`
}

function element([name, content]: XmlNode): string {
  return `<${name}>${Array.isArray(content) ? content.map(element).join('') : escapeText(String(content))}</${name}>`
}

function escapeText(text: string): string {
  const escaped = text.replace(
    /[&<>"]/g,
    character => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character] ?? '',
  )
  // XML 1.0 cannot hold control characters; S3 writes them as references all the same.
  return escaped.replace(/[\p{Cc}\ufffe\uffff]/gu, character => `&#x${character.charCodeAt(0).toString(16)};`)
}

export interface NamedPart {
  readonly number: number
  readonly etag: string
  /** Base64, when the client names it. */
  readonly checksum: string | undefined
}

/**
 * The parts of a CompleteMultipartUpload body. The format is flat, so a search for its elements is a whole parser of it; text
 * that is anything else is refused.
 *
 * @throws StorageError MalformedXML
 */
export function parseCompleteUpload(body: string): NamedPart[] {
  const malformed = () => new StorageError('MalformedXML', 'The XML you provided was not well-formed')
  const inner =
    /^\s*(?:<\?xml[^>]*\?>)?\s*<CompleteMultipartUpload(?:\s[^>]*)?>([\s\S]*)<\/CompleteMultipartUpload>\s*$/.exec(
      body,
    )?.[1]
  if (inner === undefined) throw malformed()
  const parts = [...inner.matchAll(/<Part>([\s\S]*?)<\/Part>/g)].map(([, part = '']) => {
    const fields = new Map(
      [...part.matchAll(/<([A-Za-z0-9]+)>([^<]*)<\/\1>/g)].map(([, name = '', value = '']) => [name, plainText(value)]),
    )
    const number = fields.get('PartNumber') ?? ''
    const etag = fields.get('ETag')?.replaceAll('"', '')
    if (!/^\d{1,5}$/.test(number) || !etag) throw malformed()
    const checksum = [...fields].find(([name]) => name.startsWith('Checksum'))?.[1]
    return { number: Number(number), etag, checksum }
  })
  if (parts.length === 0 || inner.replace(/<Part>[\s\S]*?<\/Part>/g, '').trim() !== '') throw malformed()
  return parts
}

function plainText(text: string): string {
  return text
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&#34;', '"')
    .replaceAll('&amp;', '&')
}
