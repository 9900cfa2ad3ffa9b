import type { Identity } from './identity.ts'
import { type CallTimes, defaultCallTimes, NodeClient, type OnBytes } from './node-client.ts'

/** Connections kept open at once. */
const mostClients = 4

/**
 * Which node to ask: the one that a redirect named, else the first contacts in turn. Nodes of other shards answer with a
 * redirect, so any contact that lives is good enough.
 */
export class Endpoints implements Disposable {
  readonly #contacts: readonly string[]
  #identity: Identity
  readonly #times: CallTimes
  readonly #onBytes: OnBytes | undefined
  readonly #clients = new Map<string, NodeClient>()
  #contact = 0
  #redirected: string | undefined

  /** @param onBytes told of what passes of models and updates */
  constructor(contacts: readonly string[], identity: Identity, times: CallTimes = defaultCallTimes, onBytes?: OnBytes) {
    this.#contacts = contacts
    this.#identity = identity
    this.#times = times
    this.#onBytes = onBytes
  }

  get endpoint(): string {
    return this.#redirected ?? (this.#contacts[this.#contact % this.#contacts.length] as string)
  }

  /** Shown by connections that are made from now on. */
  get identity(): Identity {
    return this.#identity
  }

  /** The connection to the current endpoint. */
  client(): NodeClient {
    const endpoint = this.endpoint
    const known = this.#clients.get(endpoint)
    if (known !== undefined) return known
    for (const [oldest, client] of this.#clients) {
      if (this.#clients.size < mostClients) break
      client.retire()
      this.#clients.delete(oldest)
    }
    const client = new NodeClient(endpoint, this.#identity, this.#times, this.#onBytes)
    this.#clients.set(endpoint, client)
    return client
  }

  /** Connections that are made from now on show this certificate. */
  useIdentity(identity: Identity): void {
    this.#identity = identity
    for (const client of this.#clients.values()) client.retire()
    this.#clients.clear()
  }

  /** Another node has this device's shard. An address that is none is ignored: false. */
  redirect(endpoint: string): boolean {
    if (!/^[A-Za-z0-9.-]{1,253}:\d{1,5}$/.test(endpoint) || endpoint === this.endpoint) return false
    this.#redirected = endpoint
    return true
  }

  /**
   * The current endpoint does not answer: back to the contacts, the next one first. Its connection is not used again: it may be one that
   * nobody said is dead, on which calls would fail until the system gives it up, or for ever.
   */
  failed(): void {
    this.#clients.get(this.endpoint)?.retire()
    this.#clients.delete(this.endpoint)
    if (this.#redirected === undefined) this.#contact += 1
    this.#redirected = undefined
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client[Symbol.dispose]()
    this.#clients.clear()
  }
}
