import { csvDataset } from './csv-dataset.ts'
import type { DatasetReader } from './dataset-reader.ts'
import type { DatasetDeclaration } from './declarations.ts'
import { idxDataset } from './idx-dataset.ts'
import { npyDataset, npzDataset } from './npy-dataset.ts'

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
      return csvDataset(declaration)
  }
}
