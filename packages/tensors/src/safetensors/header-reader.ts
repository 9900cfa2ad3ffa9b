import { SafetensorsError } from './safetensors-error.ts'

/**
 * Reads JSON tokens of a safetensors header. Not `JSON.parse`: that drops a name that comes twice, keeps `1e400` for a
 * size, and builds a million objects before anyone can count them. Nothing here recurses, so nesting cannot exhaust the stack.
 */
export class HeaderReader {
  readonly #text: string
  #position = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Takes the character, after white space, if it comes next. */
  take(character: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#position] !== character) return false
    this.#position += 1
    return true
  }

  expect(character: string): void {
    if (!this.take(character)) this.#fail(`expected '${character}'`)
  }

  string(): string {
    this.expect('"')
    const start = this.#position - 1
    for (;;) {
      const unit = this.#text.charCodeAt(this.#position)
      this.#position += unit === BACKSLASH ? 2 : 1
      if (unit === QUOTE) break
      if (Number.isNaN(unit)) this.#fail('a string does not end')
    }
    try {
      return JSON.parse(this.#text.slice(start, this.#position)) as string
    } catch {
      this.#position = start
      return this.#fail('a string has a control character or a wrong escape')
    }
  }

  /** A non-negative whole number in plain digits; `null` when it is beyond the safe integers. */
  naturalNumber(): number | null {
    this.#skipSpace()
    const start = this.#position
    while (isDigit(this.#text.charCodeAt(this.#position))) this.#position += 1
    const digits = this.#text.slice(start, this.#position)
    if (digits === '' || (digits.length > 1 && digits.startsWith('0')))
      this.#fail('expected a non-negative whole number')
    const value = Number(digits)
    return Number.isSafeInteger(value) ? value : null
  }

  /** Members of an object, each read by the caller once its key is given. */
  *keys(): Generator<string> {
    this.expect('{')
    if (this.take('}')) return
    do {
      const key = this.string()
      this.expect(':')
      yield key
    } while (this.take(','))
    this.expect('}')
  }

  /** Items of an array, each read by the caller. */
  *items(): Generator<void> {
    this.expect('[')
    if (this.take(']')) return
    do yield
    while (this.take(','))
    this.expect(']')
  }

  end(): void {
    this.#skipSpace()
    if (this.#position !== this.#text.length) this.#fail('something follows the object')
  }

  #skipSpace(): void {
    while (isSpace(this.#text.charCodeAt(this.#position))) this.#position += 1
  }

  #fail(what: string): never {
    throw new SafetensorsError('NOT_JSON', `safetensors header, character ${this.#position}: ${what}`)
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39
}

// RFC 8259, section 2
function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09
}
