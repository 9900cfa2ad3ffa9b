import { createHash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** Crockford's base 32 in lower case: what is read from a screen comes out right. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const prefix = 'trib_'
const secretSymbols = 52
const checkSymbols = 6
const hintSymbols = 6

/** A new key: `trib_`, 260 random bits, 30 check bits. Secret scanners find it by its prefix and its check symbols. */
export const newApiKey = (): string => {
  const secret = Array.from(randomBytes(secretSymbols), byte => alphabet[byte & 31]).join('')
  return `${prefix}${secret}${checkOf(secret)}`
}

/** Whether a text can be a key: what was typed wrongly costs no query. */
export const isApiKey = (text: string): boolean => {
  if (text.length !== prefix.length + secretSymbols + checkSymbols || !text.startsWith(prefix)) return false
  const secret = text.slice(prefix.length, -checkSymbols)
  return text.endsWith(checkOf(secret))
}

/** What is kept of a key. Its 260 bits need neither salt nor a slow hash. */
export const apiKeyHash = (key: string): Buffer => createHash('sha256').update(key).digest()

/** The part by which people tell keys apart; 230 bits stay secret. */
export const apiKeyHint = (key: string): string => key.slice(0, prefix.length + hintSymbols)

const checkOf = (secret: string): string => {
  const bits = crc32(secret)
  return Array.from({ length: checkSymbols }, (_, index) => alphabet[(bits >>> (5 * index)) & 31]).join('')
}
