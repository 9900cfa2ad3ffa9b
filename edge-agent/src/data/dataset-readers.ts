import type { DatasetReader } from './dataset-reader.ts'
import type { DatasetDeclaration } from './declarations/dataset-declaration.ts'
import { idxDataset } from './idx-dataset.ts'
import { imagesDataset } from './images/images-dataset.ts'
import { npyDataset, npzDataset } from './npy-dataset.ts'
import { tableDataset } from './table/table-dataset.ts'
import { textDataset } from './text/text-dataset.ts'

/** How a declared data set is read. */
export const readerOf = (declaration: DatasetDeclaration): DatasetReader => {
  switch (declaration.format) {
    case 'idx':
      return idxDataset(declaration)
    case 'npy':
      return npyDataset(declaration)
    case 'npz':
      return npzDataset(declaration)
    case 'csv':
    case 'jsonl':
    case 'parquet':
      return tableDataset(declaration)
    case 'images':
      return imagesDataset(declaration)
    case 'text':
      return textDataset(declaration)
  }
}
