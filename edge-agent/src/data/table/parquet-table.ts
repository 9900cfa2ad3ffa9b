import type { FileMetaData } from 'hyparquet'
import type { ByteSource } from '../byte-source.ts'
import { DataError } from '../data-error.ts'
import { decompressorsWith } from './parquet-decompressors.ts'
import type { TableFormat, TableRow } from './table.ts'

const footerBytes = 8
const maxMetadataBytes = 2 ** 26
/** Bytes of the chosen columns of one row group, unpacked; it is in memory while it is read. */
const maxGroupBytes = 2 ** 28
const maxGroupRows = 2 ** 24

/** Row groups of columns, as Apache Parquet defines them. https://parquet.apache.org/docs/file-format/ */
export const parquetTable: TableFormat = {
  measure: async source => {
    const metadata = await metadataOf(source)
    return { rows: Number(metadata.num_rows), columns: await guarded(source, async () => columnsOf(metadata)) }
  },
  open: async (source, wanted) => {
    const metadata = await metadataOf(source)
    const known = await guarded(source, async () => columnsOf(metadata))
    // With a column missing nothing is read, and the message lists those that there are.
    const complete = wanted?.every(name => known.includes(name)) ?? false
    const columns = complete ? known.filter(name => wanted?.includes(name)) : known
    return { columns, textual: false, rows: rowsOf(source, metadata, columns) }
  },
}

async function* rowsOf(
  source: ByteSource,
  metadata: FileMetaData,
  columns: readonly string[],
): AsyncGenerator<TableRow> {
  // On use: an agent without such files has no need of the parser.
  const { parquetScan, snappyUncompress } = await import('hyparquet')
  const compressors = decompressorsWith(snappyUncompress)
  const file = asyncBuffer(source)
  let number = 0
  for (const [index, group] of metadata.row_groups.entries()) {
    const rows = Number(group.num_rows)
    const options = { file, metadata, columns: [...columns], compressors, geoparquet: false, useOffsetIndex: false }
    const read: ArrayLike<unknown>[] = []
    await guarded(source, async () => {
      checkGroup(source, group, index, columns)
      const scan = await parquetScan(options)
      // One after the other: a column that fails must not leave others behind that fail when nobody waits for them.
      for (const column of columns)
        read.push(await scan.readColumn({ column, rowStart: number, rowEnd: number + rows }))
    })
    const short = read.find(({ length }) => length !== rows)
    if (short !== undefined) throw malformed(source, `row group ${index} has ${short.length} rows, not ${rows}`)
    for (let row = 0; row < rows; row++) {
      yield { place: `row ${number + 1}`, number, cells: read.map(values => values[row]) }
      number++
    }
  }
}

const checkGroup = (
  source: ByteSource,
  group: FileMetaData['row_groups'][number],
  index: number,
  columns: readonly string[],
): void => {
  const chosen = group.columns.flatMap(({ meta_data: data }) =>
    data !== undefined && columns.includes(data.path_in_schema[0] ?? '') ? [data] : [],
  )
  const bytes = chosen.reduce((sum, data) => sum + Number(data.total_uncompressed_size), 0)
  const most = Math.max(Number(group.num_rows), ...chosen.map(data => Number(data.num_values)))
  if (bytes <= maxGroupBytes && most <= maxGroupRows && bytes >= 0 && most >= 0) return
  throw new DataError(
    'TOO_LARGE',
    `${source.name}: row group ${index} has ${most} values and ${bytes} bytes; at most ${maxGroupRows} and ${maxGroupBytes} are read at once. Write the file with smaller row groups.`,
  )
}

const metadataOf = async (source: ByteSource): Promise<FileMetaData> => {
  const { size } = source
  if (size === 0) throw malformed(source, 'it is empty')
  const footer = size < 2 * footerBytes ? undefined : await source.read(size - footerBytes, footerBytes)
  if (footer?.toString('latin1', 4) !== 'PAR1')
    throw malformed(source, 'it does not end as a Parquet file; copy it again')
  const length = footer.readUInt32LE(0)
  if (length > maxMetadataBytes || length + footerBytes > size)
    throw malformed(source, `its footer says that it has ${length} bytes`)
  const { parquetMetadataAsync } = await import('hyparquet')
  const { metadata, rows } = await guarded(source, async () => {
    const found = await parquetMetadataAsync(asyncBuffer(source), { geoparquet: false })
    return { metadata: found, rows: found.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0) }
  })
  if (rows === Number(metadata.num_rows) && Number.isSafeInteger(rows)) return metadata
  throw malformed(source, `its row groups have ${rows} rows, its footer says ${metadata.num_rows}`)
}

/** Top-level columns: the children of the root of the schema, which lists elements depth first. */
const columnsOf = ({ schema }: FileMetaData): readonly string[] => {
  const names: string[] = []
  for (let at = 1; at < schema.length; at++) {
    names.push(schema[at]?.name ?? '')
    for (let left = schema[at]?.num_children ?? 0; left > 0 && at + 1 < schema.length; left--)
      left += schema[++at]?.num_children ?? 0
  }
  return names
}

const asyncBuffer = (source: ByteSource) => {
  const read = async (start: number, end: number): Promise<ArrayBuffer> => {
    if (!(start >= 0 && start <= end)) throw new RangeError(`bytes ${start} to ${end} of ${source.size}`)
    if (end - start > 2 * maxGroupBytes) throw new RangeError(`${end - start} bytes at once`)
    const bytes = await source.read(start, end - start)
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer
  }
  return {
    byteLength: source.size,
    slice: (from: number, to: number = source.size): Promise<ArrayBuffer> => {
      const slice = read(from, Math.min(to, source.size))
      // The parser reads ahead: what it never comes to must not end the process when it fails.
      slice.catch(() => {})
      return slice
    },
  }
}

/** Whatever the parser stumbles over is the file's fault. */
const guarded = async <Result>(source: ByteSource, read: () => Promise<Result>): Promise<Result> => {
  try {
    return await read()
  } catch (cause) {
    if (cause instanceof DataError) throw cause
    throw malformed(source, (cause as Error).message.slice(0, 200), cause)
  }
}

const malformed = ({ name }: ByteSource, what: string, cause?: unknown): DataError =>
  new DataError('PARQUET_MALFORMED', `${name} cannot be used: ${what}.`, { cause })
