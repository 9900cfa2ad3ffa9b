import { DataError, type DataErrorCode } from '../data-error.ts'
import { type DatasetReader, type RowBlock, type RowStream, rowsPerBlock } from '../dataset-reader.ts'
import type { ColumnSplit } from '../declarations/common.ts'
import type { TableDeclaration } from '../declarations/dataset-declaration.ts'
import { affineOf } from '../normaliser.ts'
import type { RowFaults } from '../row-faults.ts'
import { type RowLayout, rowBytesOf, unchanged } from '../rows/row-layout.ts'
import { csvTable } from './csv-table.ts'
import { jsonlTable } from './jsonl-table.ts'
import { parquetTable } from './parquet-table.ts'
import { quote } from './quote.ts'
import { maxNesting, type Positions, RowEncoder } from './row-encoder.ts'
import type { Table, TableFormat, TableRow } from './table.ts'

/** One example a row. */
export const tableDataset = (declaration: TableDeclaration): DatasetReader => {
  const format = formatOf(declaration)
  return {
    files: [declaration.file],
    apart: declaration.format === 'parquet',
    measure: async files => {
      const { rows, columns } = await format.measure(await files.source(declaration.file))
      if (columns !== undefined) positionsOf(columns, declaration)
      return rows
    },
    read: async (files, faults) =>
      streamOf(await format.open(await files.source(declaration.file), wantedColumns(declaration), faults), {
        declaration,
        faults,
      }),
  }
}

const formatOf = (declaration: TableDeclaration): TableFormat => {
  switch (declaration.format) {
    case 'csv':
      return csvTable(declaration.separator)
    case 'jsonl':
      return jsonlTable
    case 'parquet':
      return parquetTable
  }
}

/** The column that decides which part of a split a row belongs to. */
const columnSplit = ({ split }: Pick<TableDeclaration, 'split'>): ColumnSplit | undefined =>
  split !== undefined && 'column' in split ? split : undefined

const wantedColumns = (declaration: TableDeclaration): readonly string[] | undefined => {
  const { features, label } = declaration
  if (features === undefined) return undefined
  return [...new Set([...features, ...[label].flat(), ...[columnSplit(declaration)?.column ?? []].flat()])]
}

const positionsOf = (names: readonly string[], declaration: TableDeclaration): Positions => {
  const { label, features } = declaration
  const positions = new Map(names.map((name, index) => [name, index]))
  const find = (name: string): number => {
    const position = positions.get(name)
    if (position !== undefined) return position
    const found = names.slice(0, 8).map(quote).join(', ')
    const separator = 'separator' in declaration ? declaration.separator : undefined
    const hint =
      names.length === 1 && separator !== undefined ? ` Is its separator another one than ${quote(separator)}?` : ''
    throw unusable(
      declaration,
      `has no column ${quote(name)}, but ${found}${names.length > 8 ? ' and more' : ''}.${hint}`,
    )
  }
  const labels = [label].flat().map(find)
  const by = columnSplit(declaration)
  const split = by === undefined ? undefined : find(by.column)
  const others = names.map((_, index) => index).filter(index => !labels.includes(index) && index !== split)
  const chosen = features?.map(find) ?? others
  if (chosen.length === 0) throw unusable(declaration, `has no column but the label`)
  return { features: chosen, labels, split }
}

const codes = {
  csv: 'CSV_MALFORMED',
  jsonl: 'JSONL_MALFORMED',
  parquet: 'PARQUET_MALFORMED',
} as const satisfies Record<TableDeclaration['format'], DataErrorCode>

const unusable = ({ file, format }: TableDeclaration, what: string): DataError =>
  new DataError(codes[format], `${file}${format === 'csv' ? ', line 1' : ''}: the table ${what}`)

const streamOf = async (
  table: Table,
  { declaration, faults }: { declaration: TableDeclaration; faults: RowFaults },
): Promise<RowStream> => {
  const positions = positionsOf(table.columns, declaration)
  const rows = table.rows[Symbol.asyncIterator]()
  const first = await rows.next()
  const names = positions.features.map(position => table.columns[position] as string)
  // How many numbers a column gives shows in the first row; all others must have as many.
  const widths = positions.features.map(position => (first.done === true ? 1 : widthOf(first.value.cells[position])))
  const features = widths.reduce((sum, width) => sum + width, 0)
  const labels = labelsOf(declaration, positions)
  const layout: RowLayout = { stored: 'f32', features, labels, labelDtype: 'f32', affine: unchanged }
  const encoder = new RowEncoder({
    declaration,
    columns: table.columns,
    positions,
    widths,
    textual: table.textual,
    affine: affineOf(declaration, features),
    split: columnSplit(declaration),
    code: codes[declaration.format],
    faults,
  })
  return {
    layout,
    columns: names,
    ...(declaration.classes === undefined ? {} : { classes: declaration.classes.length }),
    blocks: blocksOf(first, rows, layout, encoder),
  }
}

/** Labels of one row: several classes at once from one column are a label for each class. */
const labelsOf = ({ labelKind, classes }: TableDeclaration, { labels }: Positions): number =>
  labelKind === 'multi' && labels.length === 1 && classes !== undefined ? classes.length : labels.length

const widthOf = (cell: unknown, depth = maxNesting): number => {
  // What lies deeper is refused when it is read.
  if (depth === 0 || (!Array.isArray(cell) && !ArrayBuffer.isView(cell))) return 1
  const items = [...(cell as readonly unknown[])]
  return Math.max(
    1,
    items.reduce<number>((sum, item) => sum + widthOf(item, depth - 1), 0),
  )
}

async function* blocksOf(
  first: IteratorResult<TableRow>,
  rows: AsyncIterator<TableRow>,
  layout: RowLayout,
  encoder: RowEncoder,
): AsyncGenerator<RowBlock> {
  const most = rowsPerBlock(rowBytesOf(layout))
  for (let next = first; next.done !== true; ) {
    const features = new Float32Array(most * layout.features)
    const labels = new Float32Array(most * layout.labels)
    const numbers = new Float64Array(most)
    const heldOut = new Uint8Array(most)
    let count = 0
    for (; count < most && next.done !== true; next = await rows.next()) {
      const row = next.value
      const encoded = encoder.encode(
        row,
        features.subarray(count * layout.features, (count + 1) * layout.features),
        labels.subarray(count * layout.labels, (count + 1) * layout.labels),
      )
      if (encoded === undefined) continue
      numbers[count] = row.number
      heldOut[count] = encoded.heldOut ? 1 : 0
      count++
    }
    yield { count, features, labels, numbers, heldOut }
  }
}
