import { backoffMillis, type Clock, pause } from '../clock.ts'
import type { Logger } from '../journal/logger.ts'
import { certificateRequest } from './certificate-request.ts'
import { keepCertificate } from './latest-identity.ts'
import { followingIdentity, type NodeIdentity } from './node-identity.ts'

/** Share of its time after which a certificate is followed by the next. */
const renewAfter = 2 / 3
/** The clock is looked at so often: machines sleep, and central corrects it. */
const mostPauseMillis = 3_600_000
/** An authority that ends soon gives certificates that are due at once: central is not asked in a tight loop. */
const leastPauseMillis = 10_000
const firstRetryMillis = 30_000

export type CertificateKeeperOptions = {
  readonly central: { renewCertificate(csr: string, signal: AbortSignal): Promise<string> }
  readonly identity: NodeIdentity
  readonly dataDir: string
  /** The new certificate is on disk: whatever begins from now on uses it. */
  readonly onRenewed: (identity: NodeIdentity) => void
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Gets the next certificate at two thirds of the current one's time. The key stays the same, so that receipts of before verify by
 * the new certificate and those of after by the one that a connection was opened with. Until the new one is used both are good at
 * central, so an answer that is lost is asked for again.
 */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions
  #identity: NodeIdentity

  constructor(options: CertificateKeeperOptions) {
    this.#options = options
    this.#identity = options.identity
  }

  /** Unix milliseconds. */
  get expiresAt(): number {
    return this.#identity.certificate.validToDate.getTime()
  }

  /** Keeps the certificate good until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options
    let failures = 0
    while (!signal.aborted) {
      let wait = this.#dueAt() - clock.now()
      if (wait <= 0) {
        try {
          await this.#renew(signal)
          failures = 0
          wait = this.#dueAt() - clock.now()
        } catch (error) {
          if (signal.aborted) return
          logger.warn({ err: error, until: new Date(this.expiresAt) }, 'the certificate could not be renewed')
          wait = backoffMillis(failures, firstRetryMillis, mostPauseMillis)
          failures += 1
        }
      }
      await pause(clock, Math.min(Math.max(wait, leastPauseMillis), mostPauseMillis), signal).catch(() => {})
    }
  }

  #dueAt(): number {
    const from = this.#identity.certificate.validFromDate.getTime()
    return from + (this.expiresAt - from) * renewAfter
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { central, dataDir, onRenewed, logger } = this.#options
    const certificate = await central.renewCertificate(certificateRequest(this.#identity.key), signal)
    // What works is given up only for what works as well.
    const next = followingIdentity(this.#identity, certificate)
    await keepCertificate(dataDir, certificate)
    this.#identity = next
    onRenewed(next)
    logger.info({ until: new Date(this.expiresAt) }, 'the certificate was renewed')
  }
}
