import { type KeyObject, X509Certificate } from 'node:crypto'
import type { Enrolled } from '@tributary/contracts/enrolment'
import { certificateKinds } from '@tributary/contracts/signed-request'
import { CommandError } from '../agent-command.ts'

/** What was trusted: the authority, by the sha256 of its certificate (DER), hex. */
export type CheckedIdentity = { readonly authoritySha256: string; readonly expiresAt: Date }

/**
 * Holds what central answered against the key that was sent and the clock.
 * @throws CommandError that says what does not fit
 */
export const checkEnrolled = (answer: Enrolled, key: KeyObject, now: Date): CheckedIdentity => {
  const [certificate, authority] = [parse(answer.certificate), parse(answer.authority)]
  const subject = certificate.subject.split('\n')
  const fits =
    certificate.checkPrivateKey(key) &&
    subject.includes(`CN=${answer.id}`) &&
    subject.includes(`OU=${certificateKinds.device}`) &&
    authority.ca &&
    certificate.verify(authority.publicKey)
  if (!fits) {
    throw new CommandError(
      'What central sent is not a certificate of a device for this key, signed by the authority beside it. Nothing was changed; tell the operator.',
    )
  }
  for (const [name, { validFromDate, validToDate }] of [
    ['certificate', certificate],
    ['authority', authority],
  ] as const) {
    if (validFromDate <= now && now < validToDate) continue
    throw new CommandError(
      `The clock of this device says ${now.toISOString()}, but the new ${name} is good from ${validFromDate.toISOString()} to ${validToDate.toISOString()}. Set the clock and enrol again with the same code.`,
    )
  }
  return { authoritySha256: fingerprintOf(authority), expiresAt: certificate.validToDate }
}

const fingerprintOf = ({ fingerprint256 }: X509Certificate): string => fingerprint256.replaceAll(':', '').toLowerCase()

const parse = (pem: string): X509Certificate => {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new CommandError('What central sent is no certificate. Check --url.', { cause })
  }
}
