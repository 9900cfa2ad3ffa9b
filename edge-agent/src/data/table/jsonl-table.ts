import { DataError } from '../data-error.ts'
import type { RowFaults } from '../row-faults.ts'
import { type Line, linesOf } from './lines.ts'
import type { TableFormat, TableRow } from './table.ts'

/** One JSON object a line; the keys of the first one are the columns. Empty lines are skipped. */
export const jsonlTable: TableFormat = {
  measure: async source => {
    let rows = 0
    for await (const { text } of linesOf(source, 'JSONL_MALFORMED')) if (text.trim() !== '') rows++
    if (rows === 0) throw empty(source.name)
    return { rows }
  },
  open: async (source, wanted, faults) => {
    const columns = wanted ?? (await firstKeys(linesOf(source, 'JSONL_MALFORMED'), source.name))
    const rows = rowsOf(linesOf(source, 'JSONL_MALFORMED'), source.name, columns, faults)
    return { columns, textual: false, rows }
  },
}

const firstKeys = async (lines: AsyncIterable<Line>, file: string): Promise<readonly string[]> => {
  for await (const { text, line } of lines) {
    if (text.trim() === '') continue
    const object = parse(text)
    if (typeof object !== 'string') return [...object.keys()]
    throw new DataError('JSONL_MALFORMED', `${file}, line ${line}: ${object}`)
  }
  throw empty(file)
}

async function* rowsOf(
  lines: AsyncIterable<Line>,
  file: string,
  columns: readonly string[],
  faults: RowFaults,
): AsyncGenerator<TableRow> {
  let number = 0
  for await (const { text, line } of lines) {
    if (text.trim() === '') continue
    const object = parse(text)
    const place = `line ${line}`
    if (typeof object === 'string') faults.add('JSONL_MALFORMED', `${file}, ${place}`, object, place)
    else yield { place, number, cells: columns.map(column => object.get(column)) }
    number++
  }
}

/** The object's own properties, whatever their names; or what is wrong. */
const parse = (text: string): ReadonlyMap<string, unknown> | string => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return new Map(Object.entries(value))
    return 'it is no object; write {"column": value, …}.'
  } catch (cause) {
    return `it is not JSON: ${(cause as Error).message.slice(0, 120)}.`
  }
}

const empty = (file: string): DataError =>
  new DataError('JSONL_MALFORMED', `${file} is empty. It must hold one JSON object a line.`)
