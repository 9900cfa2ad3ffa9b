import type { Examples } from '../../training/trainer.ts'
import { openRowFile } from './row-file.ts'
import type { RowHeader } from './row-header.ts'
import type { Affine } from './row-layout.ts'

/**
 * Bytes of what `readAll` gives for each example.
 * @param affine what stored values stand for, where it is not what the header says
 */
export const memoryBytesOf = (header: RowHeader, affine?: Affine): number =>
  isPlain(header, affine) ? header.features : 4 * header.features

/** Every example of a file of rows, in memory: bytes stay bytes where one scale says what they stand for. */
export const readAll = async (file: string, affine?: Affine): Promise<Examples> => {
  await using rows = await openRowFile(file, { affine })
  const { examples, header } = rows
  const order = Int32Array.from({ length: examples }, (_, row) => row)
  const labels = header.integerLabels
    ? new Int32Array(examples * header.labels)
    : new Float32Array(examples * header.labels)
  const plain = isPlain(header, affine)
  const bytes = new Uint8Array(plain ? examples * header.features : 0)
  const numbers = new Float32Array(plain ? 0 : examples * header.features)
  const most = Math.max(1, Math.floor(2 ** 20 / rows.rowBytes))
  for (let first = 0; first < examples; first += most) {
    const to = Math.min(first + most, examples)
    if (plain) bytes.set(await rows.readBytes(first, to), first * header.features)
    const part = await rows.readRows(order, first, to)
    if (!plain) numbers.set(part.features, first * header.features)
    labels.set(part.labels, first * header.labels)
  }
  return { examples, features: plain ? { bytes, scale: (affine ?? header.affine).scale } : numbers, labels }
}

const isPlain = (header: RowHeader, { shift, divisor }: Affine = header.affine): boolean =>
  header.stored === 'u8' && shift.length === 1 && shift[0] === 0 && divisor[0] === 1
