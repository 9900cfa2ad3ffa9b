/** A certificate of a device or node, as the broker is to know it. */
export type BrokerCertificate = {
  readonly kind: 'device' | 'regional-node'
  /** Of the device or node: its client id at the broker. */
  readonly id: string
  readonly certificatePem: string
  /** Hex sha256 of the DER. */
  readonly sha256: string
  /** The one before, while it is good as well; any other of the same holder is to be good no more. */
  readonly previousSha256?: string | null
}

/**
 * Makes certificates known to the broker where it does not trust every certificate of the authority: IoT Core wants certificate,
 * thing and policy. Each call can be repeated, after whatever part of it was done.
 */
export type BrokerRegistrar = {
  /** @throws TributaryError UNAVAILABLE */
  register(certificate: BrokerCertificate): Promise<void>
  /**
   * Takes every certificate of a device or node from it.
   * @throws TributaryError UNAVAILABLE
   */
  revoke(holder: Pick<BrokerCertificate, 'kind' | 'id'>): Promise<void>
}

/** Where the broker trusts every certificate of the authority, as the local one does. */
export const noRegistrar: BrokerRegistrar = { register: async () => undefined, revoke: async () => undefined }
