import { X509Certificate } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { IdentityFiles } from '../../../config.ts'
import { certificateTimeFault, spanOf } from '../../../transport/certificate-times.ts'
import type { Identity } from '../../../transport/identity.ts'
import { failed, type Outcome, ok, warning } from './finding.ts'

/** Certificate, key and authority of the device: whether they are good now, and of one another. */
export const checkIdentity = async (identity: Identity, files: IdentityFiles, now: Date): Promise<Outcome> => {
  const [own, authority] = [new X509Certificate(identity.certificate), new X509Certificate(identity.authority)]
  if (!own.verify(authority.publicKey)) {
    return failed('owner', `${files.certificateFile} is not signed by ${files.authorityFile}. Enrol again.`)
  }
  const fault =
    certificateTimeFault(own, now, 'the certificate of this device') ??
    certificateTimeFault(authority, now, "the federation's authority")
  if (fault !== undefined) return failed('owner', fault)
  const { mode } = await stat(files.keyFile)
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    return warning('owner', `Others on this device can read ${files.keyFile}. Run: chmod 600 ${files.keyFile}`)
  }
  return ok(`device ${identity.device}, good for another ${spanOf(own.validToDate.getTime() - now.getTime())}`)
}
