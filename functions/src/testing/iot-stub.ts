import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Certificate = { active: boolean; readonly policies: Set<string>; readonly withAuthority: boolean }
type Refusal = { readonly status: number; readonly type: string }

/**
 * As much of AWS IoT Core's control plane as a registrar calls, over its REST JSON interface: what it keeps, and how it refuses.
 * API reference of AWS IoT, https://docs.aws.amazon.com/iot/latest/apireference/
 */
export class IotStub implements AsyncDisposable {
  readonly certificates = new Map<string, Certificate>()
  readonly things = new Map<string, Set<string>>()
  readonly policies = new Set<string>()
  /** Calls in their order, `METHOD /path`. */
  readonly calls: string[] = []
  /** Refusals of the next calls, in turn; null lets one through. */
  readonly refusals: (Refusal | null)[] = []
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async listen(): Promise<IotStub> {
    const server = createServer()
    const stub = new IotStub(server)
    server.on('request', (request, response) => void stub.#answer(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return stub
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const text = Buffer.concat(parts).toString()
    const url = new URL(request.url ?? '/', this.url)
    this.calls.push(`${request.method} ${url.pathname.replaceAll(/[0-9a-f]{64}/g, '…')}`)
    const refusal = this.refusals.shift() ?? null
    try {
      if (refusal !== null) throw refusal
      const principal = request.headers['x-amzn-principal'] ?? request.headers['x-amzn-iot-principal']
      const answer = this.#do(`${request.method}`, url, text === '' ? {} : JSON.parse(text), `${principal}`)
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    } catch (error) {
      const { status = 500, type = 'InternalFailureException' } = error as Partial<Refusal>
      response.writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': type })
      response.end(JSON.stringify({ message: `refused: ${error}` }))
    }
  }

  #do(method: string, { pathname, searchParams }: URL, body: Record<string, string>, principal: string): unknown {
    const path = decodeURIComponent(pathname)
    const id = path.split('/')[2] ?? ''
    if (method === 'POST' && path.startsWith('/certificate/register')) return this.#register(path, body)
    if (method === 'GET' && path.startsWith('/certificates/')) {
      const { active } = known(this.certificates, id)
      return { certificateDescription: { certificateArn: arnOf(id), certificateId: id, status: statusOf(active) } }
    }
    if (method === 'PUT' && path.startsWith('/certificates/')) {
      known(this.certificates, id).active = searchParams.get('newStatus') === 'ACTIVE'
      return {}
    }
    if (path.startsWith('/target-policies/')) {
      if (method === 'PUT' && !this.policies.has(id)) throw notFound
      const { policies } = known(this.certificates, idOf(body.target ?? ''))
      if (method === 'PUT') policies.add(id)
      else policies.delete(id)
      return {}
    }
    if (path.endsWith('/principals')) return this.#principals(method, known(this.things, id), principal)
    if (method === 'POST' && path.startsWith('/things/')) {
      if (this.things.has(id)) throw alreadyExists
      this.things.set(id, new Set())
      return { thingName: id }
    }
    throw { status: 404, type: 'UnknownOperationException' }
  }

  #register(path: string, { certificatePem = '', status, caCertificatePem }: Record<string, string>): unknown {
    const id = createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex')
    if (this.certificates.has(id)) throw alreadyExists
    const withAuthority = path === '/certificate/register' && caCertificatePem !== undefined
    this.certificates.set(id, { active: status === 'ACTIVE', policies: new Set(), withAuthority })
    return { certificateArn: arnOf(id), certificateId: id }
  }

  #principals(method: string, attached: Set<string>, principal: string): unknown {
    if (method === 'GET') return { principals: [...attached] }
    if (method === 'PUT') {
      known(this.certificates, idOf(principal))
      attached.add(principal)
    } else attached.delete(principal)
    return {}
  }
}

const alreadyExists: Refusal = { status: 409, type: 'ResourceAlreadyExistsException' }
const notFound: Refusal = { status: 404, type: 'ResourceNotFoundException' }

const known = <Value>(map: ReadonlyMap<string, Value>, name: string): Value => {
  const value = map.get(name)
  if (value === undefined) throw notFound
  return value
}
const arnOf = (id: string): string => `arn:aws:iot:eu-central-1:123456789012:cert/${id}`
const idOf = (arn: string): string => arn.split('/')[1] ?? ''
const statusOf = (active: boolean): string => (active ? 'ACTIVE' : 'INACTIVE')
