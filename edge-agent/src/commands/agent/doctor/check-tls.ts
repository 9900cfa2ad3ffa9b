import { certificateTimeFault } from '../../../transport/certificate-times.ts'
import { probeTls, type TlsProbe, type TlsTarget } from '../../../transport/probe-tls.ts'
import { failed, type Mender, type Outcome, ok } from './finding.ts'

/** Name, port and certificate of an address. */
export const checkTls = async (target: TlsTarget, what: string, now: Date, signal: AbortSignal): Promise<Outcome> =>
  describeTls(await probeTls(target, signal), target, what, now)

/** What a connection that came so far means, and who can mend it. */
export const describeTls = (probe: TlsProbe, { host, port, alpn, ca }: TlsTarget, what: string, now: Date): Outcome => {
  const at = `${host}:${port}`
  switch (probe.stage) {
    case 'dns':
      return failed('network', `The name ${host} does not resolve (${codeOf(probe.error)}). Check DNS on this network.`)
    case 'tcp':
      return failed(...tcpFault(codeOf(probe.error), at, what))
    case 'tls':
      return failed(...tlsFault(probe.error, at, what))
    case 'connected':
      break
  }
  const { shown, fault } = probe
  if (fault !== undefined) {
    const period = { validFromDate: shown.from, validToDate: shown.to }
    const late = certificateTimeFault(period, now, `the certificate that ${at} shows`)
    if (late !== undefined) return failed(now < shown.from ? 'owner' : 'operator', late)
    if (fault === 'ERR_TLS_CERT_ALTNAME_INVALID') {
      return failed('operator', `${at} shows a certificate of another name (${shown.subject}).`)
    }
    const trusted = ca === undefined ? 'an authority that this system trusts' : "this federation's authority"
    return failed(
      'network',
      `${at} shows a certificate (${shown.subject}; issued by ${shown.issuer}) that is not signed by ${trusted} (${fault}). Something on the way may open TLS: ask for an exception. Otherwise the address is another federation's.`,
    )
  }
  if (alpn !== undefined && probe.alpn !== alpn[0]) {
    return failed('operator', `${at} does not speak ${alpn[0]} (ALPN).`)
  }
  return ok(`certificate good until ${shown.to.toISOString()}`)
}

const tcpFault = (code: string, at: string, what: string): [Mender, string] => {
  if (code === 'ECONNREFUSED') {
    return ['operator', `Nothing listens at ${at}: ${what} is down, or the address is wrong (ECONNREFUSED).`]
  }
  return ['network', `${at} cannot be reached (${code}). Let this device connect to it.`]
}

const tlsFault = (error: Error, at: string, what: string): [Mender, string] => {
  const code = codeOf(error)
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'EPROTO') {
    return ['network', `${at} does not answer with TLS (${code}). Something else may be in between, e.g. a login page.`]
  }
  return ['operator', `${what} at ${at} ended the handshake: ${error.message}.`]
}

const codeOf = (error: Error): string => (error as NodeJS.ErrnoException).code ?? error.message
