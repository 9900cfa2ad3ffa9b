import { elementCount } from '@tributary/onnx-train/tensor'
import { openRowFile, type RowFile, type RowFileOptions } from '../../data/rows/row-file.ts'
import { castValues, expectLabels, expectSize } from './data-checks.ts'
import type { FittedData, Part, Wanted, WorkerData } from './fitted-data.ts'
import { release } from './runtime.ts'
import { rowsOf } from './unpacked-rows.ts'

/** Bytes of rows read at once where they are wanted one after another. */
const blockBytes = 2 ** 20

/** A data set in a file of rows, of which no more than the rows at hand are ever numbers. */
export class DataInFile implements WorkerData {
  readonly #rows: RowFile

  private constructor(rows: RowFile) {
    this.#rows = rows
  }

  /**
   * @param options `memoryBytes`: a file with rows of no more is read once, and its rows are kept as they are stored
   * @throws DataError
   */
  static async open(file: string, { memoryBytes = 0, affine }: RowFileOptions): Promise<DataInFile> {
    return new DataInFile(await openRowFile(file, { memoryBytes, affine }))
  }

  fit({ exampleShape, featuresDtype, label, ignoreIndex }: Wanted): FittedData {
    const { examples, featuresPerRow, labelsPerRow, integerLabels } = this.#rows
    expectSize('values', examples * featuresPerRow, examples, exampleShape)
    expectSize('labels', examples * labelsPerRow, examples, label.shape)
    const expected = expectLabels(integerLabels, label, ignoreIndex)
    let last: Part | undefined
    const read = async (order: Int32Array): Promise<Part> => {
      if (last !== undefined) release([last.features, last.labels])
      const rows = await this.#rows.readRows(order, 0, order.length)
      const labels = castValues(rows.labels, label.dtype)
      expected(labels)
      last = {
        features: {
          dtype: featuresDtype,
          shape: [order.length, ...exampleShape],
          data: castValues(rows.features, featuresDtype),
        },
        labels: { dtype: label.dtype, shape: [order.length, ...label.shape], data: labels },
      }
      return last
    }
    const blockRows = Math.max(1, Math.floor(blockBytes / (4 * elementCount(exampleShape))))
    let block: { readonly from: number; readonly to: number; readonly part: Part } | undefined
    return {
      examples,
      choose: async rows => ({ ...(await read(rows)), order: Int32Array.from(rows.keys()) }),
      slice: async (from, to) => {
        if (block === undefined || from < block.from || to > block.to) {
          const end = Math.min(Math.max(to, from + blockRows), examples)
          block = { from, to: end, part: await read(Int32Array.from({ length: end - from }, (_, row) => from + row)) }
        }
        const { from: first, part } = block
        return {
          features: rowsOf(part.features, from - first, to - first),
          labels: rowsOf(part.labels, from - first, to - first),
        }
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rows[Symbol.asyncDispose]()
  }
}
