import { X509Certificate } from 'node:crypto'

/** What OpenSSL, TLS alerts, gRPC and central say where a certificate's time and a clock do not fit. */
const aboutTime =
  /CERT_NOT_YET_VALID|CERT_HAS_EXPIRED|certificate (?:is not yet valid|has expired|expired)|CERTIFICATE_EXPIRED/i

/** Whether an error, or one that caused it, says that a certificate is not good yet or any more. */
export const isAboutTime = (error: unknown): boolean => {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth += 1) {
    if (aboutTime.test(`${(cause as NodeJS.ErrnoException).code} ${cause.message}`)) return true
  }
  return false
}

/**
 * The two times that do not fit, in words; undefined where a certificate is good now.
 * @param whose e.g. "the certificate of this device"
 */
export const certificateTimeFault = (
  { validFromDate: from, validToDate: to }: Pick<X509Certificate, 'validFromDate' | 'validToDate'>,
  now: Date,
  whose: string,
): string | undefined => {
  const clock = `The clock of this device says ${now.toISOString()}`
  if (now < from) {
    return `${clock}, ${daysBetween(now, from)} before ${whose} becomes good (${from.toISOString()}). Set the clock: it is most likely behind.`
  }
  if (now < to) return undefined
  return `${clock}, ${daysBetween(to, now)} after ${whose} ended (${to.toISOString()}). Set the clock if it is ahead; if it is right, the certificate was not renewed in time: enrol again.`
}

/**
 * Why a connection failed, where it is a matter of time: the certificate of this device is not good now, whatever the other side said
 * of it, or the error names another's; undefined for any other error.
 * @param certificate of this device, PEM
 */
export const explainTimes = (error: unknown, certificate: Uint8Array, now: Date): string | undefined => {
  const own = new X509Certificate(certificate)
  const fault = certificateTimeFault(own, now, 'the certificate of this device')
  if (fault !== undefined || !isAboutTime(error)) return fault
  return `The clock of this device says ${now.toISOString()}, at which its own certificate is good (from ${own.validFromDate.toISOString()} to ${own.validToDate.toISOString()}), but the other side's is not, or the clock there is off. Compare both clocks; tributary-agent doctor shows the difference.`
}

/** A span of time for people, e.g. "3 days 2 h", "5 min", "12 s". */
export const spanOf = (millis: number): string => {
  const seconds = Math.round(Math.abs(millis) / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 120) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days ${hours % 24} h`
}

const daysBetween = (from: Date, to: Date): string => spanOf(to.getTime() - from.getTime())
