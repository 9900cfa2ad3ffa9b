import { TextDecoder } from 'node:util'
import type { ByteSource } from '../byte-source.ts'
import { DataError } from '../data-error.ts'

export type CsvRecord = {
  readonly fields: readonly string[]
  /** Line of the file where it begins, from 1. */
  readonly line: number
}

const sliceBytes = 2 ** 20
const maxRecordCharacters = 2 ** 22

/**
 * The records of a CSV file, RFC 4180: quotes around a field that holds separators, line ends or doubled quotes; CRLF or
 * LF; a byte-order mark is skipped, empty lines too. Memory is bounded by one record and one slice of the file.
 * Throws CSV_MALFORMED with the line.
 */
export async function* csvRecords(source: ByteSource, separator: string): AsyncGenerator<CsvRecord> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const parser = new CsvParser(source.name, separator)
  const buffer = Buffer.allocUnsafeSlow(Math.min(sliceBytes, source.size))
  for (let position = 0; position < source.size; position += sliceBytes) {
    const bytes = buffer.subarray(0, source.size - position)
    await source.fill(position, bytes)
    yield* parser.push(decode(decoder, bytes, parser))
  }
  yield* parser.push(decode(decoder, undefined, parser))
  yield* parser.end()
}

const decode = (decoder: TextDecoder, bytes: Buffer | undefined, parser: CsvParser): string => {
  try {
    return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
  } catch {
    throw parser.fault('is not UTF-8; save it as UTF-8')
  }
}

/** Takes a file apart as its text arrives. */
class CsvParser {
  readonly #name: string
  readonly #separator: string
  #line = 1
  #recordLine = 1
  #fields: string[] = []
  #field = ''
  #state: 'start' | 'plain' | 'quoted' | 'after quote' = 'start'
  #characters = 0
  #afterReturn = false

  constructor(name: string, separator: string) {
    this.#name = name
    this.#separator = separator
  }

  *push(text: string): Generator<CsvRecord> {
    let from = 0
    for (let at = 0; at < text.length; at++) {
      const character = text[at] as string
      const structural = character === '"' || character === '\n' || character === '\r' || character === this.#separator
      if (!structural) {
        if (this.#state === 'after quote') throw this.fault('has characters after a closing quote')
        if (this.#state === 'start') this.#state = 'plain'
        this.#afterReturn = false
        continue
      }
      this.#append(text.slice(from, at))
      from = at + 1
      yield* this.#structure(character)
    }
    this.#append(text.slice(from))
  }

  *end(): Generator<CsvRecord> {
    if (this.#state === 'quoted') throw this.fault('ends inside quotes')
    yield* this.#endRecord()
  }

  fault(what: string): DataError {
    return new DataError('CSV_MALFORMED', `${this.#name}, line ${this.#line}: the file ${what}.`)
  }

  *#structure(character: string): Generator<CsvRecord> {
    const followsReturn = this.#afterReturn
    this.#afterReturn = false
    if (this.#state === 'quoted') {
      if (character === '"') this.#state = 'after quote'
      else this.#append(character)
      if (character === '\n') this.#line++
      return
    }
    switch (character) {
      case '"':
        if (this.#state === 'plain') throw this.fault('has a quote inside a field that does not begin with one')
        // A doubled quote stands for one.
        if (this.#state === 'after quote') this.#append('"')
        this.#state = 'quoted'
        return
      case this.#separator:
        this.#fields.push(this.#field)
        this.#field = ''
        this.#state = 'start'
        return
      default:
        if (character === '\n' && followsReturn) return
        this.#afterReturn = character === '\r'
        yield* this.#endRecord()
        this.#line++
        this.#recordLine = this.#line
    }
  }

  *#endRecord(): Generator<CsvRecord> {
    const isEmpty = this.#fields.length === 0 && this.#state === 'start'
    if (!isEmpty) yield { fields: [...this.#fields, this.#field], line: this.#recordLine }
    this.#fields = []
    this.#field = ''
    this.#state = 'start'
    this.#characters = 0
  }

  #append(text: string): void {
    this.#field += text
    this.#characters += text.length
    if (this.#characters > maxRecordCharacters) throw this.fault('has a record of more than 4 million characters')
  }
}
