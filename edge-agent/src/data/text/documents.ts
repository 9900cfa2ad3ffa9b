import { DataError } from '../data-error.ts'
import type { DataFiles } from '../data-files.ts'
import type { TextDeclaration } from '../declarations/text-declaration.ts'
import type { RowFaults } from '../row-faults.ts'
import { csvTable } from '../table/csv-table.ts'
import { jsonlTable } from '../table/jsonl-table.ts'
import { linesOf } from '../table/lines.ts'
import { quote } from '../table/quote.ts'

export type Document = {
  readonly place: string
  readonly number: number
  readonly text: string
  readonly label: unknown
  /** What the column of a split says. */
  readonly part: unknown
}

/** Whether the file is a table; undefined for one document a line. */
export const tableFormatOf = ({ file, separator }: TextDeclaration) => {
  if (/\.jsonl$/i.test(file)) return jsonlTable
  if (/\.csv$/i.test(file)) return csvTable(separator)
  return /\.tsv$/i.test(file) ? csvTable('\t') : undefined
}

/** The documents in their order. Throws DataError; rows without a text go to `faults`. */
export const documentsOf = (
  files: DataFiles,
  declaration: TextDeclaration,
  faults: RowFaults,
): AsyncGenerator<Document> =>
  tableFormatOf(declaration) === undefined ? fromLines(files, declaration) : fromTable(files, declaration, faults)

async function* fromLines(files: DataFiles, { file, labels, split }: TextDeclaration): AsyncGenerator<Document> {
  if (labels === undefined) throw invalid(`"labels" must name the file of the labels of ${file}`)
  if (split !== undefined && 'column' in split) throw invalid(`${file} has no columns to split by`)
  const truths = linesOf(await files.source(labels), 'TEXT_MALFORMED')
  let number = 0
  for await (const { text, line } of linesOf(await files.source(file), 'TEXT_MALFORMED')) {
    const truth = await truths.next()
    if (truth.done === true) throw differ(file, labels, `${labels} ends after ${number} lines, ${file} goes on`)
    yield { place: `line ${line}`, number: number++, text, label: truth.value.text, part: undefined }
  }
  if ((await truths.next()).done !== true)
    throw differ(file, labels, `${file} ends after ${number} lines, ${labels} goes on`)
}

async function* fromTable(files: DataFiles, declaration: TextDeclaration, faults: RowFaults): AsyncGenerator<Document> {
  const { file, column, label, split } = declaration
  if (column === undefined || label === undefined)
    throw invalid(`"column" and "label" must name the columns of ${file}`)
  const partColumn = split !== undefined && 'column' in split ? [split.column] : []
  const wanted = [column, label, ...partColumn]
  const table = await tableFormatOf(declaration)?.open(await files.source(file), wanted, faults)
  if (table === undefined) return
  const [textAt, labelAt, partAt] = wanted.map(name => {
    const position = table.columns.indexOf(name)
    if (position !== -1) return position
    const found = table.columns.slice(0, 8).map(quote).join(', ')
    throw new DataError('TEXT_MALFORMED', `${file}, line 1: the table has no column ${quote(name)}, but ${found}.`)
  }) as [number, number, number | undefined]
  for await (const { place, number, cells } of table.rows) {
    const text = cells[textAt]
    const part = partAt === undefined ? undefined : cells[partAt]
    if (typeof text === 'string') yield { place, number, text, label: cells[labelAt], part }
    else faults.add('TEXT_MALFORMED', `${file}, ${place}, column ${quote(column)}`, 'no text is there.', place)
  }
}

const invalid = (what: string): DataError => new DataError('DATASETS_INVALID', `A data set of text: ${what}.`)

const differ = (file: string, labels: string, what: string): DataError =>
  new DataError('COUNTS_DIFFER', `${what}. Give ${file} and ${labels} a line for each document.`)
