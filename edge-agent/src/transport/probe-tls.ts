import { lookup } from 'node:dns/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

/** How far a connection comes. What the other side shows is told also where it is not trusted; nothing is sent. */
export type TlsProbe =
  | { readonly stage: 'dns' | 'tcp' | 'tls'; readonly error: Error }
  | {
      readonly stage: 'connected'
      /** OpenSSL's word for what is wrong with the certificate shown; undefined where all is well. */
      readonly fault: string | undefined
      readonly shown: { readonly subject: string; readonly issuer: string; readonly from: Date; readonly to: Date }
      /** Protocol that both sides agreed on. */
      readonly alpn: string | undefined
    }

export type TlsTarget = {
  readonly host: string
  readonly port: number
  /** PEM; @default what the system trusts */
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly key?: Buffer | undefined
  readonly alpn?: readonly string[] | undefined
}

/** Resolves a name, connects, and shakes hands. Rejects with the signal's reason alone. */
export const probeTls = async (
  { host, port, ca, cert, key, alpn }: TlsTarget,
  signal: AbortSignal,
): Promise<TlsProbe> => {
  try {
    await lookup(host)
  } catch (error) {
    return { stage: 'dns', error: error as Error }
  }
  signal.throwIfAborted()
  let tcp: Socket | undefined
  let tls: TLSSocket | undefined
  const abort = () => {
    tcp?.destroy(signal.reason as Error)
    tls?.destroy(signal.reason as Error)
  }
  signal.addEventListener('abort', abort, { once: true })
  try {
    tcp = connectTcp({ host, port })
    const failed = await settled(tcp, 'connect')
    signal.throwIfAborted()
    if (failed !== undefined) return { stage: 'tcp', error: failed }
    tls = connectTls({
      socket: tcp,
      ...(isIP(host) ? {} : { servername: host }),
      host,
      ca,
      cert,
      key,
      ALPNProtocols: [...(alpn ?? [])],
      // Looked at below: whoever is to mend it needs to see what was shown.
      rejectUnauthorized: false,
    })
    const broken = await settled(tls, 'secureConnect')
    signal.throwIfAborted()
    if (broken !== undefined) return { stage: 'tls', error: broken }
    const { subject, issuer, valid_from: from, valid_to: to } = tls.getPeerCertificate()
    return {
      stage: 'connected',
      // An error where the types say Error, its code where OpenSSL found it.
      fault: tls.authorized
        ? undefined
        : String((tls.authorizationError as NodeJS.ErrnoException | null)?.code ?? tls.authorizationError),
      shown: { subject: nameOf(subject), issuer: nameOf(issuer), from: new Date(from), to: new Date(to) },
      alpn: tls.alpnProtocol || undefined,
    }
  } finally {
    signal.removeEventListener('abort', abort)
    tls?.destroy()
    tcp?.destroy()
  }
}

/** Waits for an event, or the error or end that comes in its place. */
const settled = (socket: Socket, event: 'connect' | 'secureConnect'): Promise<Error | undefined> =>
  new Promise(resolve => {
    socket.once(event, () => resolve(undefined))
    // One listener stays: what comes later is nobody's business.
    socket.on('error', error => resolve(error))
    socket.once('close', () => resolve(new Error('the other side closed the connection')))
  })

const nameOf = (name: object | undefined): string =>
  Object.entries(name ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')
