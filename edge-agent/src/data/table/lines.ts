import { TextDecoder } from 'node:util'
import type { ByteSource } from '../byte-source.ts'
import { DataError, type DataErrorCode } from '../data-error.ts'

export type Line = { readonly text: string /** From 1. */; readonly line: number }

const sliceBytes = 2 ** 20
const maxLineCharacters = 2 ** 22

/**
 * The lines of a UTF-8 file without their ends (LF or CRLF) and without a byte-order mark; empty ones too. Memory is
 * bounded by one line and one slice of the file. Throws DataError with the line.
 */
export async function* linesOf(source: ByteSource, code: DataErrorCode): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const fault = (what: string): DataError => new DataError(code, `${source.name}, line ${line}: ${what}.`)
  let line = 1
  let pending = ''
  const buffer = Buffer.allocUnsafeSlow(Math.min(sliceBytes, source.size))
  for (let position = 0; position < source.size; position += sliceBytes) {
    const bytes = buffer.subarray(0, source.size - position)
    await source.fill(position, bytes)
    let text: string
    try {
      text = decoder.decode(bytes, { stream: position + sliceBytes < source.size })
    } catch {
      throw fault('the file is not UTF-8; save it as UTF-8')
    }
    for (let from = 0; from < text.length; ) {
      const end = text.indexOf('\n', from)
      pending += text.slice(from, end === -1 ? text.length : end)
      if (pending.length > maxLineCharacters) throw fault('it has more than 4 million characters')
      if (end === -1) break
      yield { text: pending.replace(/\r$/, ''), line: line++ }
      pending = ''
      from = end + 1
    }
  }
  if (pending !== '') yield { text: pending.replace(/\r$/, ''), line }
}
