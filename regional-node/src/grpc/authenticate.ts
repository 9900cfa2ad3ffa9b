import { TributaryError } from '@tributary/contracts/errors'
import { Uuid } from '@tributary/contracts/ids'
import { certificateKinds } from '@tributary/contracts/signed-request'
import type { DeviceDirectory, KnownDevice } from '../devices/device-directory.ts'
import type { PeerIdentity } from './peer-identity.ts'

/** How long a call waits for the directory, for a device that was registered a moment ago. */
const directoryMillis = 3000

export type Authentication = {
  readonly directory: DeviceDirectory
  /** Resolves when the directory was read anew, or after the time. */
  readonly refreshDirectory: (millis: number) => Promise<void>
  /** Unix milliseconds. */
  readonly now: () => number
}

/**
 * The device behind a connection: its client certificate was signed by the authority (TLS checked that), is a device's, not revoked,
 * and the one that the directory names, or the one before while the newer has not been used yet.
 * @throws TributaryError UNAUTHENTICATED, CERTIFICATE_EXPIRED, FORBIDDEN, CERTIFICATE_REVOKED, UNAVAILABLE
 */
export const authenticate = async (
  peer: PeerIdentity | undefined,
  { directory, refreshDirectory, now }: Authentication,
): Promise<KnownDevice> => {
  if (peer === undefined) throw new TributaryError('UNAUTHENTICATED', { detail: 'No client certificate.' })
  const { commonName, organisationalUnit, validTo, sha256 } = peer
  const id = Uuid.safeParse(commonName)
  if (!id.success || organisationalUnit !== certificateKinds.device) {
    throw new TributaryError('FORBIDDEN', { detail: 'The client certificate is not one of a device.' })
  }
  if (!(validTo >= now())) throw new TributaryError('CERTIFICATE_EXPIRED')
  const isCurrent = () => directory.get(id.data)?.certificateSha256 === sha256
  const isPrevious = () => directory.get(id.data)?.previousCertificateSha256 === sha256
  if (!isCurrent() && !isPrevious()) await refreshDirectory(directoryMillis)
  const device = directory.get(id.data)
  if (device === undefined) {
    throw directory.complete
      ? new TributaryError('FORBIDDEN', { detail: 'No device of this region has this certificate.' })
      : new TributaryError('UNAVAILABLE', { detail: 'The directory of devices is being read. Try again.' })
  }
  if (device.revoked) throw new TributaryError('CERTIFICATE_REVOKED')
  if (!isCurrent() && !isPrevious()) {
    throw new TributaryError('FORBIDDEN', { detail: 'The device was given another certificate since.' })
  }
  // Tokens go with the certificate that asked for them.
  return device.certificateSha256 === sha256 ? device : { ...device, certificateSha256: sha256 }
}
