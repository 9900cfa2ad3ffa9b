import type { Examples } from '../training/trainer.ts'
import type { ByteSource } from './byte-source.ts'
import { DataError } from './data-error.ts'
import type { DatasetReader, DatasetSize } from './dataset-reader.ts'
import type { NpyDeclaration, NpzDeclaration } from './declarations.ts'
import { type NpyHeader, readNpyData, readNpyHeader } from './npy.ts'
import { readNpzEntry } from './npz.ts'

/** Features and labels as NumPy saves them, in two files. */
export const npyDataset = ({ features, labels, scale }: NpyDeclaration): DatasetReader => ({
  files: [features, labels],
  measure: sources => sizeOf(sources as Pair),
  read: sources => readPair(sources as Pair, scale),
})

/** The same in one archive. */
export const npzDataset = ({ file, features, labels, scale }: NpzDeclaration): DatasetReader => {
  const entries = async ([source]: readonly ByteSource[]): Promise<Pair> => [
    await readNpzEntry(source as ByteSource, features),
    await readNpzEntry(source as ByteSource, labels),
  ]
  return {
    files: [file],
    measure: async sources => sizeOf(await entries(sources)),
    read: async sources => readPair(await entries(sources), scale),
  }
}

type Pair = readonly [features: ByteSource, labels: ByteSource]

const sizeOf = async (pair: Pair): Promise<DatasetSize> => {
  const { examples, features } = await headersOf(pair)
  return { examples, bytes: features.elements * Float32Array.BYTES_PER_ELEMENT }
}

const readPair = async (pair: Pair, scale: number): Promise<Examples> => {
  const { features, labels, examples } = await headersOf(pair)
  const values = new Float32Array(features.elements)
  await readNpyData(pair[0], features, (value, index) => {
    values[index] = value / scale
    if (!Number.isFinite(values[index])) {
      const row = Math.floor((index * examples) / features.elements)
      throw new DataError(
        'FEATURES_UNUSABLE',
        `${pair[0].name}, row ${row}: ${value} is no float32. Leave that row out.`,
      )
    }
  })
  const truths = labels.integer ? new Int32Array(labels.elements) : new Float32Array(labels.elements)
  await readNpyData(pair[1], labels, (value, index) => {
    truths[index] = value
    if (labels.integer && truths[index] !== value) {
      const row = Math.floor((index * examples) / labels.elements)
      throw new DataError(
        'LABELS_UNUSABLE',
        `${pair[1].name}, row ${row}: ${value} is no class; they are counted from 0.`,
      )
    }
  })
  return { examples, features: values, labels: truths }
}

const headersOf = async (pair: Pair): Promise<{ features: NpyHeader; labels: NpyHeader; examples: number }> => {
  const [features, labels] = [await readNpyHeader(pair[0]), await readNpyHeader(pair[1])]
  const [examples] = features.shape
  if (examples === undefined || labels.shape[0] === undefined) {
    const { name } = pair[examples === undefined ? 0 : 1]
    throw new DataError('NPY_MALFORMED', `${name} holds a single number; its first axis must be the examples.`)
  }
  if (labels.shape[0] !== examples) {
    throw new DataError(
      'COUNTS_DIFFER',
      `${pair[0].name} has ${examples} examples, ${pair[1].name} has ${labels.shape[0]}. Give arrays that belong together.`,
    )
  }
  return { features, labels, examples }
}
