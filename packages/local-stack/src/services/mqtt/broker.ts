import type { Duplex } from 'node:stream'
import {
  Aedes,
  type AuthenticateError,
  type Client,
  type ConnectPacket,
  type PublishPacket,
  type Subscription,
} from 'aedes'
import type { MqttIdentity } from './identity.ts'
import { maxPayloadBytes, mayPublish, mayRetain, maySubscribe } from './topic-rights.ts'

export interface MqttBroker extends AsyncDisposable {
  /** Serves one connection whose certificate was verified. */
  serve(stream: Duplex, identity: MqttIdentity): void
  /** Ends every connection whose identity is revoked now. */
  dropRevoked(): void
}

/** An MQTT 3.1.1 broker with AWS IoT's limits, whose rights come from client certificates alone. */
export async function openBroker(isRevoked: (fingerprint: string) => boolean): Promise<MqttBroker> {
  const identities = new WeakMap<object, MqttIdentity>()
  const refusals = new WeakMap<Client, string>()
  const connected = new Map<Client, MqttIdentity>()
  const broker = await Aedes.createBroker({
    connectTimeout: 10_000,
    drainTimeout: 20_000,
    queueLimit: 100,
    maxInflightInbound: 1,
    maxTopicLevels: 8,
    preConnect(client, packet, done) {
      const refusal = refuseConnect(packet, identities.get(client.conn), isRevoked)
      if (refusal) refusals.set(client, refusal)
      done(null, true)
    },
    authenticate(client, _user, _password, done) {
      const refusal = refusals.get(client)
      const identity = identities.get(client.conn)
      if (refusal || !identity) return done(notAuthorised(refusal ?? 'no identity'), false)
      connected.set(client, identity)
      done(null, true)
    },
    authorizePublish(client, packet, done) {
      const identity = client && identities.get(client.conn)
      const refusal = identity ? refusePublish(identity, packet) : 'no identity'
      done(refusal ? new Error(refusal) : null)
    },
    authorizeSubscribe(client, subscription, done) {
      const identity = identities.get(client.conn)
      done(null, identity && grants(identity, subscription) ? subscription : null)
    },
  })
  broker.on('clientError', (client, error) => console.error(`${client.id}: ${error.message}`))
  broker.on('connectionError', (client, error) => console.error(`${client.id ?? 'connection'}: ${error.message}`))
  broker.on('clientDisconnect', client => connected.delete(client))
  return {
    serve(stream, identity) {
      identities.set(stream, identity)
      const client = broker.handle(stream)
      stream.once('close', () => connected.delete(client))
    },
    dropRevoked() {
      for (const [client, identity] of connected) {
        if (!isRevoked(identity.fingerprint)) continue
        console.error(`${identity.id}: its certificate was revoked, the connection is ended`)
        client.close()
      }
    },
    [Symbol.asyncDispose]: () => new Promise(resolve => broker.close(resolve)),
  }
}

function refuseConnect(
  packet: ConnectPacket,
  identity: MqttIdentity | undefined,
  isRevoked: (fingerprint: string) => boolean,
): string | undefined {
  if (!identity) return 'the certificate names no device, node or service'
  if (isRevoked(identity.fingerprint)) return `the certificate of ${identity.id} is revoked`
  if (packet.clientId !== identity.id)
    return `client id ${packet.clientId} is not the certificate's name ${identity.id}`
  // Messages kept for absent clients would grow without bound; notices are hints that nobody needs later.
  if (!packet.clean) return `${identity.id} asks for a kept session; connect with a clean one`
  return packet.will && refusePublish(identity, packet.will)
}

function refusePublish(
  identity: MqttIdentity,
  packet: NonNullable<ConnectPacket['will']> | PublishPacket,
): string | undefined {
  if (packet.qos === 2) return 'QoS 2 is not served'
  if (Buffer.byteLength(packet.payload ?? '') > maxPayloadBytes) return `a payload is at most ${maxPayloadBytes} bytes`
  if (!mayPublish(identity, packet.topic)) return `${identity.role} ${identity.id} may not publish to ${packet.topic}`
  if (packet.retain && !mayRetain(identity, packet.topic)) return `${packet.topic} may not be retained`
  return undefined
}

function grants(identity: MqttIdentity, { topic, qos }: Subscription): boolean {
  const granted = qos !== 2 && maySubscribe(identity, topic)
  if (!granted) console.error(`${identity.id}: the subscription to ${topic} with QoS ${qos} is refused`)
  return granted
}

function notAuthorised(reason: string): AuthenticateError {
  return Object.assign(new Error(reason), { returnCode: 5 as const })
}
