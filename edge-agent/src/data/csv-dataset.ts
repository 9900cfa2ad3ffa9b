import type { Examples } from '../training/trainer.ts'
import type { ByteSource } from './byte-source.ts'
import { type CsvRecord, csvRecords } from './csv.ts'
import { DataError } from './data-error.ts'
import type { DatasetReader } from './dataset-reader.ts'
import type { CsvDeclaration } from './declarations.ts'

/** A table with the names of its columns in the first line: one example a line. */
export const csvDataset = (declaration: CsvDeclaration): DatasetReader => ({
  files: [declaration.file],
  measure: async ([source]) => {
    let examples = 0
    let columns: Columns | undefined
    for await (const record of csvRecords(source as ByteSource, declaration.separator)) {
      if (columns === undefined) columns = columnsOf(record, declaration)
      else examples++
    }
    if (columns === undefined) throw empty(declaration.file)
    return { examples, bytes: examples * columns.features.length * Float32Array.BYTES_PER_ELEMENT }
  },
  read: async ([source]) => readTable(source as ByteSource, declaration),
})

/** Positions in a record. */
type Columns = {
  readonly names: readonly string[]
  readonly features: readonly number[]
  readonly labels: readonly number[]
}

const readTable = async (source: ByteSource, declaration: CsvDeclaration): Promise<Examples> => {
  const { file, separator, scale } = declaration
  const classes = new Map(declaration.classes?.map((name, index) => [name, index]))
  const features = new GrowingFloats()
  const labels = new GrowingFloats()
  let examples = 0
  let columns: Columns | undefined
  for await (const record of csvRecords(source, separator)) {
    if (columns === undefined) {
      columns = columnsOf(record, declaration)
      continue
    }
    const { names } = columns
    if (record.fields.length !== names.length) {
      throw malformed(file, record.line, `has ${record.fields.length} fields, the first line ${names.length}`)
    }
    for (const column of columns.features) features.push(numberAt(file, record, names, column) / scale)
    for (const column of columns.labels) {
      labels.push(
        classes.size === 0
          ? numberAt(file, record, names, column, classHint)
          : classAt(file, record, names, column, classes),
      )
    }
    examples++
  }
  if (columns === undefined) throw empty(file)
  const truths = labels.values()
  return { examples, features: features.values(), labels: truths.every(isInt32) ? Int32Array.from(truths) : truths }
}

const columnsOf = ({ fields, line }: CsvRecord, { file, label, features, separator }: CsvDeclaration): Columns => {
  const names = fields.map(name => name.trim())
  const positions = new Map(names.map((name, index) => [name, index]))
  if (positions.size !== names.length) {
    const twice = names.find((name, index) => positions.get(name) !== index) ?? ''
    throw malformed(file, line, `names column ${quote(twice)} twice`)
  }
  const find = (name: string): number => {
    const position = positions.get(name)
    if (position !== undefined) return position
    const found = names.slice(0, 8).map(quote).join(', ')
    const hint = names.length === 1 ? ` Is its separator another one than ${quote(separator)}?` : ''
    throw malformed(
      file,
      line,
      `has no column ${quote(name)}, but ${found}${names.length > 8 ? ' and more' : ''}`,
      hint,
    )
  }
  const labels = [label].flat().map(find)
  const chosen = features?.map(find) ?? names.map((_, index) => index).filter(index => !labels.includes(index))
  if (chosen.length === 0) throw malformed(file, line, 'has no column but the label')
  return { names, features: chosen, labels }
}

const plainNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

const featureHint = 'Write numbers as 1.5 or -2e-3, and leave out lines that lack one.'
const classHint = 'If it is the name of a class, declare all classes in their order.'

const numberAt = (
  file: string,
  { fields, line }: CsvRecord,
  names: readonly string[],
  column: number,
  hint = featureHint,
): number => {
  const text = (fields[column] ?? '').trim()
  const value = Math.fround(Number(text))
  if (plainNumber.test(text) && Number.isFinite(value)) return Number(text)
  const where = `${file}, line ${line}, column ${quote(names[column] ?? '')}`
  const what = text === '' ? 'nothing is there' : `${quote(text)} is no number of float32`
  throw new DataError('CSV_MALFORMED', `${where}: ${what}. ${hint}`)
}

const classAt = (
  file: string,
  { fields, line }: CsvRecord,
  names: readonly string[],
  column: number,
  classes: ReadonlyMap<string, number>,
): number => {
  const text = (fields[column] ?? '').trim()
  const index = classes.get(text)
  if (index !== undefined) return index
  const where = `${file}, line ${line}, column ${quote(names[column] ?? '')}`
  throw new DataError(
    'LABELS_UNUSABLE',
    `${where}: ${quote(text)} is none of the ${classes.size} classes that are declared.`,
  )
}

/** Float32 values whose number is not known before the end. */
class GrowingFloats {
  #values = new Float32Array(1024)
  #length = 0

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float32Array(2 * this.#length)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#length++] = value
  }

  values(): Float32Array {
    return this.#values.slice(0, this.#length)
  }
}

const isInt32 = (value: number): boolean => (value | 0) === value

const quote = (text: string): string => JSON.stringify(text.slice(0, 60))

const empty = (file: string): DataError =>
  new DataError('CSV_MALFORMED', `${file} is empty. Its first line must name the columns.`)

const malformed = (file: string, line: number, what: string, hint = ''): DataError =>
  new DataError('CSV_MALFORMED', `${file}, line ${line}: the table ${what}.${hint}`)
