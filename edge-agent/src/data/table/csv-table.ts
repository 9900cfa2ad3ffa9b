import { DataError } from '../data-error.ts'
import type { RowFaults } from '../row-faults.ts'
import { countCsvRecords } from './count-csv-records.ts'
import { type CsvRecord, csvRecords } from './csv.ts'
import { quote } from './quote.ts'
import type { TableFormat, TableRow } from './table.ts'

/** A table with the names of its columns in the first line. */
export const csvTable = (separator: string): TableFormat => ({
  measure: async source => {
    const [header] = await firstOf(csvRecords(source, separator))
    if (header === undefined) throw empty(source.name)
    return { rows: (await countCsvRecords(source)) - 1, columns: namesOf(header, source.name) }
  },
  open: async (source, _wanted, faults) => {
    const [header, rest] = await firstOf(csvRecords(source, separator))
    if (header === undefined) throw empty(source.name)
    const columns = namesOf(header, source.name)
    return { columns, textual: true, rows: rowsOf(rest, source.name, columns.length, faults) }
  },
})

async function* rowsOf(
  records: AsyncIterable<CsvRecord>,
  file: string,
  width: number,
  faults: RowFaults,
): AsyncGenerator<TableRow> {
  let number = 0
  for await (const { fields, line } of records) {
    const place = `line ${line}`
    if (fields.length === width) yield { place, number, cells: fields }
    else {
      const what = `the table has ${fields.length} fields, the first line ${width}.`
      faults.add('CSV_MALFORMED', `${file}, ${place}`, what, place)
    }
    number++
  }
}

const namesOf = ({ fields, line }: CsvRecord, file: string): readonly string[] => {
  const names = fields.map(name => name.trim())
  const positions = new Map(names.map((name, index) => [name, index]))
  if (positions.size === names.length) return names
  const twice = names.find((name, index) => positions.get(name) !== index) ?? ''
  throw new DataError('CSV_MALFORMED', `${file}, line ${line}: the table names column ${quote(twice)} twice.`)
}

/** The first item, and the iterable of the others. */
const firstOf = async <Item>(items: AsyncGenerator<Item>): Promise<[Item | undefined, AsyncGenerator<Item>]> => {
  const first = await items.next()
  return [first.done === true ? undefined : first.value, items]
}

const empty = (file: string): DataError =>
  new DataError('CSV_MALFORMED', `${file} is empty. Its first line must name the columns.`)
