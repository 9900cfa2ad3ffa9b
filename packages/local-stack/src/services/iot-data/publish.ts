import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { MqttClient } from 'mqtt'
import { splitUrl } from '../aws-signature/canonical-request.ts'
import { type AwsCredentials, SignatureError, verifySignature } from '../aws-signature/verify-signature.ts'
import { maxPayloadBytes, mayPublish, mayRetain } from '../mqtt/topic-rights.ts'

const serviceIdentity = { id: 'iot-data-plane', role: 'service', fingerprint: '' } as const
const maxSlashes = 7
const publishDeadlineMs = 10_000

/** A refusal as the IoT data plane words it. */
class PublishRefusal extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** `POST /topics/<topic>?qos=0|1`, as `Publish` of the AWS IoT data plane. */
export async function handlePublish(
  request: IncomingMessage,
  response: ServerResponse,
  broker: MqttClient,
  credentials: AwsCredentials,
): Promise<void> {
  try {
    const { topic, qos, retain } = readTarget(request)
    const payload = await readPayload(request)
    verify(request, payload, credentials)
    // The broker ends the connection at a publication without right, and the client would send it again for ever.
    if (!mayPublish(serviceIdentity, topic) || (retain && !mayRetain(serviceIdentity, topic))) {
      throw new PublishRefusal(403, 'ForbiddenException', `publishing to ${topic} is not allowed`)
    }
    const deadline = AbortSignal.timeout(publishDeadlineMs)
    await Promise.race([publish(broker, topic, payload, qos, retain), rejectAt(deadline)])
    answer(response, 200, { message: 'OK' })
  } catch (error) {
    const refusal = toRefusal(error)
    if (refusal.status >= 500) console.error(error)
    answer(response, refusal.status, { message: refusal.message }, refusal.code)
  }
}

function readTarget(request: IncomingMessage): { topic: string; qos: 0 | 1; retain: boolean } {
  const parts = splitUrl(request.url ?? '')
  if (!parts?.path.startsWith('/topics/'))
    throw new PublishRefusal(404, 'ResourceNotFoundException', 'only /topics/<topic> is served')
  if (request.method !== 'POST') throw new PublishRefusal(405, 'MethodNotAllowedException', 'only POST publishes')
  const topic = decodeURIComponent(parts.path.slice('/topics/'.length))
  const wrong =
    topic === '' || /[+#\0]/.test(topic) || Buffer.byteLength(topic) > 256 || topic.split('/').length > maxSlashes + 1
  if (wrong)
    throw new PublishRefusal(
      400,
      'InvalidRequestException',
      `a topic has at most 256 bytes and ${maxSlashes} slashes and no wildcard`,
    )
  const query = new Map(parts.query)
  const qos = query.get('qos') ?? '0'
  if (qos !== '0' && qos !== '1') throw new PublishRefusal(400, 'InvalidRequestException', 'qos must be 0 or 1')
  return { topic, qos: qos === '1' ? 1 : 0, retain: query.get('retain') === 'true' }
}

async function readPayload(request: IncomingMessage): Promise<Buffer> {
  const tooLarge = () =>
    new PublishRefusal(413, 'RequestEntityTooLargeException', `a payload is at most ${maxPayloadBytes} bytes`)
  if (Number(request.headers['content-length'] ?? 0) > maxPayloadBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxPayloadBytes) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function verify(request: IncomingMessage, payload: Buffer, credentials: AwsCredentials): void {
  const hash = createHash('sha256').update(payload).digest('hex')
  const declared = request.headers['x-amz-content-sha256']
  if (declared !== undefined && declared !== hash)
    throw new SignatureError('SignatureDoesNotMatch', 'the body is not the signed one')
  verifySignature(
    { method: request.method ?? '', url: request.url ?? '', headers: request.headers },
    { credentials, service: 'iotdata', now: new Date(), payloadHash: hash },
  )
}

function publish(broker: MqttClient, topic: string, payload: Buffer, qos: 0 | 1, retain: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!broker.connected)
      return reject(new PublishRefusal(503, 'ServiceUnavailableException', 'the broker is not reached'))
    broker.publish(topic, payload, { qos, retain }, error => (error ? reject(error) : resolve()))
  })
}

function rejectAt(deadline: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const late = () =>
      reject(new PublishRefusal(503, 'ServiceUnavailableException', 'the broker did not confirm in time'))
    deadline.addEventListener('abort', late, { once: true })
  })
}

function toRefusal(error: unknown): PublishRefusal {
  if (error instanceof PublishRefusal) return error
  if (error instanceof SignatureError) return new PublishRefusal(403, 'ForbiddenException', error.message)
  return new PublishRefusal(500, 'InternalFailureException', 'the message was not published')
}

function answer(response: ServerResponse, status: number, body: object, code?: string): void {
  if (response.headersSent || response.destroyed) return
  if (code) response.setHeader('x-amzn-errortype', code)
  // A refused body is not read to its end.
  if (status === 413) response.setHeader('connection', 'close')
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
