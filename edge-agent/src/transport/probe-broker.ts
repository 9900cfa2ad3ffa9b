import { connect } from 'mqtt'
import { type BrokerAddress, brokerOptions } from './broker-options.ts'
import type { Identity } from './identity.ts'

/**
 * Opens a session with the broker and ends it. One of the same device that is open there ends by it: not to be called while the
 * agent runs. Rejects with what went wrong, or the signal's reason.
 */
export const probeBroker = async (address: BrokerAddress, identity: Identity, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const client = connect(brokerOptions(address, identity, 10_000))
  client.on('error', reject)
  client.on('close', () =>
    reject(new Error('the broker closed the connection: it does not know this device, or refuses it')),
  )
  client.on('connect', () => resolve())
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', abort)
    client.on('error', () => {})
    client.end(true)
  }
}
