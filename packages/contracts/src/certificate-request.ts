/*
 * Certificate requests of nodes and devices (PKCS#10, RFC 2986), written in the distinguished encoding rules (X.690, 8.1).
 */

const sequence = 0x30
const set = 0x31
const integer = 0x02
const bitString = 0x03
const objectIdentifier = 0x06
const utf8String = 0x0c
const attributes = 0xa0

/** 2.5.4.10, organizationName. */
const organization = Uint8Array.of(0x55, 0x04, 0x0a)
/** 1.2.840.10045.4.3.2, ecdsa-with-SHA256. */
const ecdsaWithSha256 = Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)

/**
 * A certificate request in PEM. Its subject says nothing: who somebody is, central decides.
 * @param publicKey EC P-256, SubjectPublicKeyInfo in DER
 * @param sign ECDSA with SHA-256 over what it is given, by the key that belongs to `publicKey`, in DER
 */
export const certificateRequestPem = (publicKey: Uint8Array, sign: (info: Uint8Array) => Uint8Array): string => {
  const name = der(
    sequence,
    der(
      set,
      der(sequence, der(objectIdentifier, organization), der(utf8String, new TextEncoder().encode('Tributary'))),
    ),
  )
  const info = der(sequence, der(integer, Uint8Array.of(0)), name, publicKey, der(attributes))
  const request = der(
    sequence,
    info,
    der(sequence, der(objectIdentifier, ecdsaWithSha256)),
    // No unused bits in the last byte.
    der(bitString, Uint8Array.of(0), sign(info)),
  )
  const lines = btoa(String.fromCharCode(...request)).replaceAll(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`
}

/** One element. */
const der = (tag: number, ...parts: Uint8Array[]): Uint8Array => {
  const content = parts.flatMap(part => [...part])
  const { length } = content
  if (length < 0x80) return Uint8Array.of(tag, length, ...content)
  const bytes = length < 0x100 ? [length] : [length >> 8, length & 0xff]
  return Uint8Array.of(tag, 0x80 | bytes.length, ...bytes, ...content)
}
