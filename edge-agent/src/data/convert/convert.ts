import { DataError } from '../data-error.ts'
import type { DataFiles } from '../data-files.ts'
import type { RowBlock } from '../dataset-reader.ts'
import { readerOf } from '../dataset-readers.ts'
import type { DatasetDeclaration } from '../declarations/dataset-declaration.ts'
import { RowFaults } from '../row-faults.ts'
import { RowFileWriter } from '../rows/row-file-writer.ts'
import { rowBytesOf } from '../rows/row-layout.ts'
import { heldOutByShare } from '../split.ts'

/** Files to write; `heldOut` where the declaration splits. */
export type Targets = { readonly all: string; readonly heldOut: string | undefined }

export type ConvertOptions = {
  /** Of all files together. */
  readonly maxBytes: number
  /** Called now and then. */
  readonly onProgress?: () => void
}

const maxCountedClasses = 4096

/**
 * Writes the examples of a data set as files of rows, in bounded memory. Throws DataError: TOO_LARGE where they take more
 * than `maxBytes`, and for rows that cannot be used.
 */
export const convert = async (
  declaration: DatasetDeclaration,
  files: DataFiles,
  targets: Targets,
  { maxBytes, onProgress = () => {} }: ConvertOptions,
): Promise<void> => {
  const reader = readerOf(declaration)
  const faults = new RowFaults()
  const { examples = 0, layout, columns, classes = 0, blocks } = await reader.read(files, faults)
  const bytes = examples * rowBytesOf(layout)
  if (bytes > maxBytes) throw tooLarge(bytes, maxBytes)
  const content = { layout, columns, classes: classes <= maxCountedClasses ? classes : 0 }
  await using writers = new AsyncDisposableStack()
  const all = writers.use(await RowFileWriter.create(targets.all, content))
  const heldOut =
    targets.heldOut === undefined ? all : writers.use(await RowFileWriter.create(targets.heldOut, content))
  const isHeldOut = heldOutRule(declaration)
  for await (const block of blocks) {
    onProgress()
    for (let row = 0; row < block.count; row++) {
      const writer = isHeldOut(block, row) ? heldOut : all
      await writer.add(block.features, row * layout.features, block.labels, row * layout.labels)
      if (all.bytes + (heldOut === all ? 0 : heldOut.bytes) > maxBytes)
        throw tooLarge(all.bytes + heldOut.bytes, maxBytes)
    }
  }
  faults.throwIfAny()
  await all.finish(faults.skipped)
  if (heldOut !== all) await heldOut.finish(faults.skipped)
}

const heldOutRule = ({ split }: DatasetDeclaration): ((block: RowBlock, row: number) => boolean) => {
  if (split === undefined) return () => false
  if ('column' in split) return ({ heldOut }, row) => heldOut?.[row] === 1
  const chosen = heldOutByShare(split)
  return ({ numbers }, row) => chosen(numbers[row] as number)
}

const tooLarge = (bytes: number, maxBytes: number): DataError =>
  new DataError(
    'TOO_LARGE',
    `The data set takes ${bytes} bytes or more of disk when it is converted; ${maxBytes} are left for it. Raise DATASET_CACHE_BYTES or split it.`,
  )
