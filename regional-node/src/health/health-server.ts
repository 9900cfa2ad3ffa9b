import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Metric, prometheusText } from './prometheus.ts'

/** Named conditions; the node is healthy when all hold. */
export type HealthChecks = Readonly<Record<string, () => boolean>>

/** `GET /healthz` (200 or 503 with what fails) and `GET /metrics`. */
export class HealthServer {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async listen(
    { host, port }: { host: string; port: number },
    checks: HealthChecks,
    metrics: Iterable<Metric>,
  ): Promise<HealthServer> {
    const server = createServer(
      { requestTimeout: 5000, headersTimeout: 5000, keepAliveTimeout: 5000 },
      (request, response) => {
        request.resume()
        if (request.method !== 'GET') return response.writeHead(405).end()
        if (request.url === '/healthz') {
          const results = Object.fromEntries(Object.entries(checks).map(([name, check]) => [name, check()]))
          const healthy = Object.values(results).every(Boolean)
          response.writeHead(healthy ? 200 : 503, { 'content-type': 'application/json', 'cache-control': 'no-store' })
          return response.end(JSON.stringify({ healthy, checks: results }))
        }
        if (request.url === '/metrics') {
          response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
          return response.end(prometheusText(metrics))
        }
        return response.writeHead(404).end()
      },
    )
    server.maxConnections = 64
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
    return new HealthServer(server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}
