import { readFile } from 'node:fs/promises'
import { createServer as createHttpsServer } from 'node:https'
import type { Server } from 'node:net'
import { Duplex, pipeline } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { createWebSocketStream, WebSocketServer } from 'ws'
import type { MqttBroker } from './broker.ts'
import type { MqttBrokerConfig } from './config.ts'
import { identityOf } from './identity.ts'
import { packetLimit } from './packet-limit.ts'
import { maxPayloadBytes } from './topic-rights.ts'

// Topic, identifiers and will beside the largest payload.
const maxPacketBytes = maxPayloadBytes + 4096

/** Opens MQTT over TLS and over WebSocket; both require a client certificate of our authority. */
export async function listen(broker: MqttBroker, config: MqttBrokerConfig): Promise<AsyncDisposable> {
  const tls = {
    ca: await readFile(config.MQTT_CA_FILE),
    cert: await readFile(config.MQTT_CERTIFICATE_FILE),
    key: await readFile(config.MQTT_KEY_FILE),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    handshakeTimeout: 10_000,
  } as const
  const direct = createTlsServer(tls, socket => serve(broker, socket, socket))
  const https = createHttpsServer({ ...tls, headersTimeout: 10_000 }, (_request, response) =>
    response.writeHead(404).end(),
  )
  const webSockets = new WebSocketServer({
    server: https,
    path: '/mqtt',
    maxPayload: maxPacketBytes,
    perMessageDeflate: false,
    handleProtocols: offered => (offered.has('mqtt') ? 'mqtt' : false),
  })
  webSockets.on('connection', (webSocket, request) => {
    serve(broker, request.socket as TLSSocket, createWebSocketStream(webSocket))
  })
  for (const server of [direct, https]) {
    server.maxConnections = config.MQTT_MAX_CONNECTIONS
    server.on('tlsClientError', error => console.error(`a handshake failed: ${error.message}`))
  }
  await Promise.all([
    opened(direct, config.MQTT_PORT, config.MQTT_HOST),
    opened(https, config.MQTT_WEBSOCKET_PORT, config.MQTT_HOST),
  ])
  return {
    async [Symbol.asyncDispose]() {
      for (const webSocket of webSockets.clients) webSocket.terminate()
      https.closeAllConnections()
      await Promise.all([closed(direct), closed(https)])
    },
  }
}

function serve(broker: MqttBroker, socket: TLSSocket, transport: Duplex): void {
  const identity = identityOf(socket)
  transport.on('error', () => transport.destroy())
  if (!identity) return void transport.destroy()
  const limited = packetLimit(maxPacketBytes)
  const stream = Duplex.from({ readable: limited, writable: transport })
  stream.on('error', () => undefined)
  stream.once('close', () => transport.destroy())
  pipeline(transport, limited, error => {
    if (error) console.error(`${identity.id}: ${error.message}`)
    transport.destroy()
  })
  broker.serve(stream, identity)
}

function opened(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host }, () => resolve())
  })
}

function closed(server: Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()))
}
