import { isIP } from 'node:net'
import { TributaryError } from '@tributary/contracts/errors'

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const dnsName = new RegExp(`^${label}(?:\\.${label})*$`, 'i')

/** @throws TributaryError BODY_INVALID for what is neither a DNS name (RFC 1123) nor an address */
export const checkHostnames = (hostnames: readonly string[]): void => {
  const errors = hostnames.flatMap((hostname, index) =>
    isIP(hostname) !== 0 || dnsName.test(hostname)
      ? []
      : [{ path: `hostnames.${index}`, message: 'neither a DNS name nor an IP address' }],
  )
  if (errors.length > 0) throw new TributaryError('BODY_INVALID', { extra: { errors } })
}
