import { createPublicKey, type KeyObject, sign } from 'node:crypto'

const sequence = 0x30
const set = 0x31
const integer = 0x02
const bitString = 0x03
const objectIdentifier = 0x06
const utf8String = 0x0c
const attributes = 0xa0

/** 2.5.4.10, organizationName. */
const organization = Buffer.from([0x55, 0x04, 0x0a])
/** 1.2.840.10045.4.3.2, ecdsa-with-SHA256. */
const ecdsaWithSha256 = Buffer.from([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])

/**
 * A certificate request (PKCS#10, RFC 2986) in PEM, signed by the key. Its subject says nothing: who a device is, central decides.
 * @param key EC P-256
 */
export const certificateRequest = (key: KeyObject): string => {
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const name = der(
    sequence,
    der(set, der(sequence, der(objectIdentifier, organization), der(utf8String, Buffer.from('Tributary')))),
  )
  const info = der(sequence, der(integer, Buffer.of(0)), name, publicKey, der(attributes))
  const signature = sign('sha256', info, key)
  const request = der(
    sequence,
    info,
    der(sequence, der(objectIdentifier, ecdsaWithSha256)),
    // No unused bits in the last byte.
    der(bitString, Buffer.of(0), signature),
  )
  const lines = request.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`
}

/** One element in the distinguished encoding rules, X.690, 8.1. */
const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content])
  const bytes = length < 0x100 ? Buffer.of(length) : Buffer.of(length >> 8, length & 0xff)
  return Buffer.concat([Buffer.of(tag, 0x80 | bytes.length), bytes, content])
}
