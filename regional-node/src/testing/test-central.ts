import { createHash, X509Certificate } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { DeploymentDescriptor } from '@tributary/contracts/deployments'
import { RenewCertificate } from '@tributary/contracts/enrolment'
import type { Registered } from '@tributary/contracts/fleet'
import { type AttemptRef, Uuid } from '@tributary/contracts/ids'
import {
  type DirectoryDevice,
  type LogEntry,
  NodeLogsRequest,
  type NodeStatusAnswer,
  NodeStatusRequest,
} from '@tributary/contracts/node-status'
import type { AttemptOutcome, EvaluationDescriptor, RoundDescriptor } from '@tributary/contracts/round'
import { SignedRequestClaims, signedRequestSeconds, signedRequestType } from '@tributary/contracts/signed-request'
import { decodeProtectedHeader, jwtVerify } from 'jose'

/**
 * The three routes of central that a node calls, with one shard for one node. Requests are checked as central does: signature by
 * the certificate in the header, which the authority must have issued, over method, path and body.
 */
export class TestCentral {
  readonly statuses: NodeStatusRequest[] = []
  readonly logs: LogEntry[] = []
  readonly faults: string[] = []
  devices: DirectoryDevice[] = []
  attempts: RoundDescriptor[] = []
  evaluations: EvaluationDescriptor[] = []
  deployments: DeploymentDescriptor[] = []
  settled: (AttemptRef & { outcome: AttemptOutcome })[] = []
  epoch = 0
  /** Another number gives other log keys: those of before are lost. */
  keys = 0
  /** How far the clock of central is ahead of this machine's, ms. */
  aheadMillis = 0
  /** Answers 503 while true. */
  isDown = false
  /** Gives the certificate (PEM) for a request (PEM); without one nothing is renewed. */
  certify: ((csr: string) => Promise<string>) | undefined
  /** Fingerprints of the certificates that signed the requests, in their order. */
  readonly signers: string[] = []
  /** Fingerprints of certificates that are good no more. */
  readonly ended = new Set<string>()
  readonly #server: Server
  readonly #authority: X509Certificate

  private constructor(server: Server, authority: string) {
    this.#server = server
    this.#authority = new X509Certificate(authority)
  }

  static async listen(authority: string): Promise<TestCentral> {
    const server = createServer()
    const central = new TestCentral(server, authority)
    server.on('request', (request, response) => void central.#answer(request, response))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return central
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #now(): number {
    return Date.now() + this.aheadMillis
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('date', new Date(this.#now()).toUTCString())
    try {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      const body = Buffer.concat(parts)
      if (this.isDown) {
        response.writeHead(503).end('down')
        return
      }
      const { method = '', url = '', headers } = request
      await this.#verify(method, url, `${headers.authorization}`.replace('Bearer ', ''), body)
      const json: unknown = JSON.parse(body.toString())
      if (url.endsWith('/status')) {
        response.end(JSON.stringify(this.#status(NodeStatusRequest.parse(json))))
        return
      }
      if (url.endsWith('/certificate')) {
        const certificate = await this.certify?.(RenewCertificate.parse(json).csr)
        if (certificate === undefined) response.writeHead(503).end('no certificates')
        else response.writeHead(201).end(JSON.stringify(this.#registered(url, certificate)))
        return
      }
      this.logs.push(...NodeLogsRequest.parse(json).entries)
      response.writeHead(204).end()
    } catch (error) {
      this.faults.push(`${error}`)
      response.writeHead(401).end(`${error}`)
    }
  }

  async #verify(method: string, path: string, token: string, body: Buffer): Promise<void> {
    const { x5c } = decodeProtectedHeader(token)
    const leaf = new X509Certificate(Buffer.from(x5c?.[0] ?? '', 'base64'))
    this.signers.push(leaf.fingerprint256)
    if (this.ended.has(leaf.fingerprint256)) throw new Error('the certificate was followed by another')
    if (!leaf.verify(this.#authority.publicKey)) throw new Error('not of the authority')
    const { payload } = await jwtVerify(token, leaf.publicKey, {
      algorithms: ['ES256'],
      typ: signedRequestType,
      currentDate: new Date(this.#now()),
      clockTolerance: 30,
      maxTokenAge: signedRequestSeconds,
    })
    const claims = SignedRequestClaims.parse(payload)
    const bh = createHash('sha256').update(body).digest('base64url')
    if (claims.htm !== method || claims.htu !== path || claims.bh !== bh) throw new Error('signed for another request')
    if (!leaf.subject.includes(`CN=${claims.sub}`) || !path.includes(claims.sub)) throw new Error('another node')
  }

  #registered(url: string, certificate: string): Registered {
    const id = Uuid.parse(url.split('/').at(-2))
    return { id, certificate, authority: this.#authority.toString(), expiresAt: new Date(this.#now()).toISOString() }
  }

  /** A key for each epoch, the same to whoever keeps it. */
  #logKey(): string {
    return createHash('sha256').update(`log key ${this.keys} ${this.epoch}`).digest('base64')
  }

  #status(request: NodeStatusRequest): NodeStatusAnswer {
    this.statuses.push(request)
    // Whoever lists the current epoch keeps it; otherwise it is raised.
    const keeps = request.shards.some(({ shard, epoch }) => shard === 0 && epoch === this.epoch)
    if (!keeps && !request.draining) this.epoch += 1
    const { epoch } = this
    const isOver = (ref: AttemptRef) =>
      !this.attempts.some(({ task, round }) => task === ref.task && round === ref.round)
    return {
      time: new Date(this.#now()).toISOString(),
      region: 'north',
      shardCount: 1,
      leases: request.draining ? [] : [{ shard: 0, epoch, leaseSeconds: 20, logKey: this.#logKey() }],
      otherShards: [],
      attempts: this.attempts.map(attempt => ({
        ...attempt,
        shards: attempt.shards.map(plan => ({ ...plan, epoch })),
      })),
      evaluations: this.evaluations,
      settled: this.settled.filter(ref => request.holding.some(({ task }) => task === ref.task) && isOver(ref)),
      settledEvaluations: [],
      deployments: this.deployments,
      directory: {
        devices: this.devices.filter(({ sequence }) => sequence > request.directorySequence),
        sequence: this.devices.length,
        complete: true,
      },
    }
  }
}
