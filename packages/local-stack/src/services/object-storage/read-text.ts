import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { StorageError } from './storage-error.ts'

/**
 * A small body as text, verified against the hash of the signature.
 *
 * @throws StorageError EntityTooLarge, XAmzContentSHA256Mismatch
 */
export async function readText(request: IncomingMessage, maxBytes: number, payloadHash: string): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new StorageError('EntityTooLarge', `this body is at most ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  if (/^[0-9a-f]{64}$/.test(payloadHash) && createHash('sha256').update(body).digest('hex') !== payloadHash) {
    throw new StorageError('XAmzContentSHA256Mismatch', 'the SHA-256 of the body is not the signed one')
  }
  return body.toString('utf8')
}
