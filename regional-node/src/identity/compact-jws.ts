import { createHmac, type KeyObject, sign, timingSafeEqual } from 'node:crypto'

/**
 * Compact JWS (RFC 7515, 3.1) signed on the spot: tens of microseconds each, where asynchronous crypto takes several times as much
 * to hand the work to another thread and back. For what a node signs and checks for itself with every update; tokens of others go
 * through a library.
 */
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const hmac = (key: KeyObject, input: string): Buffer => createHmac('sha256', key).update(input).digest()

/** HS256 (RFC 7518, 3.2). */
export class HmacJws {
  readonly #key: KeyObject
  readonly #header: string

  /** @param typ media type of what is signed, the same for all */
  constructor(key: KeyObject, typ: string) {
    this.#key = key
    this.#header = encode({ alg: 'HS256', typ })
  }

  sign(payload: object): string {
    const input = `${this.#header}.${encode(payload)}`
    return `${input}.${hmac(this.#key, input).toString('base64url')}`
  }

  /** The payload, or null where this key did not sign it under this very header: no other algorithm or type is looked at. */
  verify(text: string): unknown {
    const [header, payload, signature, ...more] = text.split('.')
    if (header !== this.#header || payload === undefined || signature === undefined || more.length > 0) return null
    const expected = hmac(this.#key, `${header}.${payload}`)
    const given = Buffer.from(signature, 'base64url')
    if (given.byteLength !== expected.byteLength || !timingSafeEqual(given, expected)) return null
    try {
      return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    } catch {
      return null
    }
  }
}

/** ES256 (RFC 7518, 3.4). */
export class Es256Jws {
  readonly #key: KeyObject
  readonly #header: string

  /** @param key EC P-256 @param header without `alg`, the same for all that is signed */
  constructor(key: KeyObject, header: object) {
    this.#key = key
    this.#header = encode({ alg: 'ES256', ...header })
  }

  sign(payload: object): string {
    const input = `${this.#header}.${encode(payload)}`
    // Asked for the fixed form by options, Node takes twice as long as for the signature itself.
    const signature = fixedForm(sign('sha256', Buffer.from(input), this.#key))
    return `${input}.${signature.toString('base64url')}`
  }
}

/** Bytes of r and of s on P-256. */
const halfBytes = 32

/** An ECDSA signature from DER (RFC 3279, 2.2.3) to r and s in their full length, one after the other (RFC 7518, 3.4). */
const fixedForm = (der: Buffer): Buffer => {
  const fixed = Buffer.alloc(2 * halfBytes)
  // SEQUENCE of two INTEGERs, each with tag and length; on P-256 every length takes one byte.
  for (let at = 2, end = halfBytes; end <= 2 * halfBytes; end += halfBytes) {
    const start = at + 2
    at = start + (der[at + 1] as number)
    const value = der.subarray(Math.max(start, at - halfBytes), at)
    fixed.set(value, end - value.byteLength)
  }
  return fixed
}
