import { createPrivateKey, X509Certificate } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Registered } from '@tributary/contracts/fleet'
import type { Logger } from 'pino'
import { writeAtomically } from '../state/atomic-file.ts'
import { Backoff } from './backoff.ts'
import { postSigned } from './central-client.ts'
import { certificateRequest } from './certificate-request.ts'
import type { Identity } from './identity.ts'

/** Share of its time after which a certificate is followed by the next. */
const renewAfter = 2 / 3
/** The clock is looked at so often: machines sleep, and timers with them. */
const mostPauseMillis = 3_600_000
/** Commands that come sooner after a try are left to it: nobody makes the device ask central in a tight loop. */
const leastGapMillis = 60_000
const firstRetryMillis = 30_000

export type CertificateKeeperOptions = {
  /** Of central's REST API; without one nothing can be renewed. */
  readonly centralUrl: string | undefined
  readonly identity: Identity
  /** Is replaced as a whole; the key stays as it is. */
  readonly certificateFile: string
  /** The new certificate is on disk: connections that are made from now on use it. */
  readonly onRenewed: (identity: Identity) => void
  readonly log: Logger
  /** Unix milliseconds. */
  readonly now?: () => number
}

/**
 * Gets the next certificate at two thirds of the current one's time, or when an operator asks for it. The key never leaves the device
 * and stays the same, so that a crash between two files cannot part a certificate from its key. Until the new one is used both are
 * good at central, so an answer that is lost is asked for again.
 */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions
  readonly #now: () => number
  #identity: Identity
  #wanted = false
  #wake = new AbortController()
  #triedAt = Number.NEGATIVE_INFINITY

  constructor(options: CertificateKeeperOptions) {
    this.#options = options
    this.#identity = options.identity
    this.#now = options.now ?? Date.now
  }

  /** Renews now instead of later. */
  renewNow(): void {
    if (this.#now() - this.#triedAt < leastGapMillis) return
    this.#wanted = true
    this.#wake.abort()
  }

  /** Keeps the certificate good until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { centralUrl, log } = this.#options
    if (centralUrl === undefined) {
      log.info({ until: this.expiry }, 'CENTRAL_URL is not set: the certificate is not renewed by itself')
      return
    }
    const backoff = new Backoff(firstRetryMillis, mostPauseMillis)
    while (!signal.aborted) {
      try {
        if (this.#isDue()) {
          await this.#renew(centralUrl, signal)
          backoff.reset()
        }
        // A wish that came while the answer was awaited is granted by it.
        await this.#pause(Math.min(mostPauseMillis, Math.max(0, this.#dueAt() - this.#now())), signal)
      } catch (error) {
        if (signal.aborted) return
        log.warn({ err: error, until: this.expiry }, 'the certificate could not be renewed')
        await this.#pause(backoff.next(), signal)
      }
    }
  }

  #isDue(): boolean {
    return this.#wanted || this.#now() >= this.#dueAt()
  }

  #dueAt(): number {
    const { validFromDate, validToDate } = new X509Certificate(this.#identity.certificate)
    const [from, to] = [validFromDate.getTime(), validToDate.getTime()]
    return from + (to - from) * renewAfter
  }

  /** Until when the certificate is good, ISO 8601. */
  get expiry(): string {
    return new X509Certificate(this.#identity.certificate).validToDate.toISOString()
  }

  async #renew(centralUrl: string, signal: AbortSignal): Promise<void> {
    const { certificateFile, onRenewed, log } = this.#options
    const { device, key, authority } = this.#identity
    this.#triedAt = this.#now()
    const csr = certificateRequest(createPrivateKey(key))
    const answer = await postSigned(centralUrl, this.#identity, `/v1/devices/${device}/certificate`, { csr }, signal)
    const { certificate } = Registered.parse(answer)
    checkOwn(certificate, this.#identity, authority)
    await writeAtomically(certificateFile, certificate)
    this.#identity = { ...this.#identity, certificate: Buffer.from(certificate) }
    this.#wanted = false
    onRenewed(this.#identity)
    log.info({ until: this.expiry }, 'the certificate was renewed')
  }

  /** Waits, less where a renewal is asked for. */
  async #pause(millis: number, signal: AbortSignal): Promise<void> {
    this.#wake = new AbortController()
    await delay(millis, undefined, { signal: AbortSignal.any([signal, this.#wake.signal]) }).catch(() => {})
  }
}

/** What central sends is written over what works: it must be for this device and key, of the authority that the device trusts. */
const checkOwn = (pem: string, { device, key }: Identity, authority: Buffer): void => {
  const certificate = new X509Certificate(pem)
  const fits =
    certificate.checkPrivateKey(createPrivateKey(key)) &&
    certificate.subject.split('\n').includes(`CN=${device}`) &&
    certificate.verify(new X509Certificate(authority).publicKey)
  if (!fits) throw new Error('the certificate that central sent is not for this device, its key and its authority')
}
