import { createHash, randomBytes } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'

/** Crockford's base 32: no I, L, O and U, so that what is read aloud or typed comes out right. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const codePattern = new RegExp(`^[${alphabet}]*$`)
const dataSymbols = 22
const checkSymbols = 3
const groupSymbols = 5
const hintSymbols = 5

/** A new code: 110 random bits and 15 check bits in five groups of five, `K7Q2M-9TXRB-…`. */
export const newCode = (): string => {
  const data = Array.from(randomBytes(dataSymbols), byte => alphabet[byte & 31]).join('')
  return grouped(data + checkOf(data))
}

/**
 * A code as somebody typed it, in the form that is hashed: letters in either case, with or without hyphens and spaces, O for 0, I
 * and L for 1.
 * @throws TributaryError CODE_MISTYPED where length, letters or check symbols are wrong, which tells nothing about codes that exist
 */
export const readCode = (typed: string): string => {
  const symbols = typed.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1')
  const data = symbols.slice(0, dataSymbols)
  const fits = symbols.length === dataSymbols + checkSymbols && codePattern.test(symbols)
  if (!fits || symbols !== data + checkOf(data)) throw new TributaryError('CODE_MISTYPED')
  return grouped(symbols)
}

/** What is kept of a code. Its 110 bits need neither salt nor a slow hash; equal length and an index over hashes leak no prefix. */
export const codeHash = (code: string): Buffer => createHash('sha256').update(code).digest()

/** The part by which people tell codes apart; 85 bits stay secret. */
export const codeHint = (code: string): string => code.slice(0, hintSymbols)

const grouped = (symbols: string): string =>
  Array.from({ length: symbols.length / groupSymbols }, (_, index) =>
    symbols.slice(index * groupSymbols, (index + 1) * groupSymbols),
  ).join('-')

const checkOf = (data: string): string => {
  const digest = createHash('sha256').update(`tributary enrolment code ${data}`).digest()
  const bits = digest.readUInt16BE(0) >> 1
  return [bits >> 10, (bits >> 5) & 31, bits & 31].map(symbol => alphabet[symbol]).join('')
}
