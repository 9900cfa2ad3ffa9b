import type { IncomingMessage, ServerResponse } from 'node:http'
import { sameText } from '../aws-signature/verify-signature.ts'
import { CommandRefusedError, commandFromPath, parseCommand, parseCommands } from './commands.ts'
import type { RedisConnection } from './redis-connection.ts'
import { toOutcome } from './reply.ts'

const maxBodyBytes = 1024 * 1024

/** Serves one request as Upstash's REST API does: a command, `/pipeline` or `/multi-exec`. */
export async function handleRequest(
  request: IncomingMessage,
  response: ServerResponse,
  redis: RedisConnection,
  token: string,
): Promise<void> {
  const send = (status: number, body: unknown) => {
    if (response.headersSent || response.destroyed) return
    if (status === 413) response.setHeader('connection', 'close')
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  try {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const given = request.headers.authorization?.replace(/^Bearer /i, '') ?? url.searchParams.get('_token') ?? ''
    if (!sameText(given, token)) return send(401, { error: 'Unauthorized' })
    const body = await readBody(request)
    if (body === undefined) return send(413, { error: `ERR a body is at most ${maxBodyBytes} bytes` })
    const base64 = request.headers['upstash-encoding'] === 'base64'
    if (url.pathname === '/pipeline') {
      const replies = await redis.pipeline(parseCommands(parseJson(body)))
      return send(
        200,
        replies.map(reply => toOutcome(reply, base64)),
      )
    }
    if (url.pathname === '/multi-exec') {
      const replies = await redis.transaction(parseCommands(parseJson(body)))
      return send(
        200,
        replies.map(reply => toOutcome(reply, base64)),
      )
    }
    const command = parseCommand(url.pathname === '/' ? parseJson(body) : commandFromPath(url.pathname, body))
    const [reply = null] = await redis.pipeline([command])
    const outcome = toOutcome(reply, base64)
    send('error' in outcome ? 400 : 200, outcome)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const clients =
      error instanceof CommandRefusedError ||
      error instanceof URIError ||
      /^(ERR|EXECABORT|NOSCRIPT|WRONGTYPE)/.test(message)
    if (!clients) console.error(error)
    send(clients ? 400 : 500, { error: message })
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBodyBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new CommandRefusedError('ERR the body is no JSON')
  }
}
