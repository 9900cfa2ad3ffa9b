import type { IncomingMessage } from 'node:http'

/** Bytes that are read and forgotten so that a client which is still sending sees the refusal instead of a reset. */
const discardAtMost = 64 * 1024 * 1024

/**
 * Reads a whole request body; undefined when it is larger than `maxBytes`, in which case nothing of it was kept.
 *
 * @throws Error when the client goes away, or sends more than 64 MiB of what is not wanted.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const declared = Number(request.headers['content-length'] ?? 0)
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (declared <= maxBytes && bytes <= maxBytes) chunks.push(chunk)
    else chunks.length = 0
    if (bytes > discardAtMost) {
      request.destroy()
      throw new Error(`a request body of more than ${discardAtMost} bytes`)
    }
  }
  return bytes <= maxBytes && declared <= maxBytes ? Buffer.concat(chunks, bytes) : undefined
}
