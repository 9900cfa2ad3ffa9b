import type { ByteSource } from './byte-source.ts'
import { DataError } from './data-error.ts'
import type { DatasetReader } from './dataset-reader.ts'
import type { IdxDeclaration } from './declarations.ts'
import { type IdxHeader, readIdxData, readIdxHeader } from './idx.ts'

/** Images and their classes in two IDX files, as MNIST is published. */
export const idxDataset = ({ images, labels, scale }: IdxDeclaration): DatasetReader => ({
  files: [images, labels],
  measure: async sources => {
    const { images, examples } = await headersOf(sources)
    return { examples, bytes: images.dataBytes }
  },
  read: async sources => {
    const { images, labels, examples } = await headersOf(sources)
    const [imageSource, labelSource] = sources as [ByteSource, ByteSource]
    return {
      examples,
      features: { bytes: await readIdxData(imageSource, images), scale },
      labels: Int32Array.from(await readIdxData(labelSource, labels)),
    }
  },
})

const headersOf = async (
  sources: readonly ByteSource[],
): Promise<{ images: IdxHeader; labels: IdxHeader; examples: number }> => {
  const [imageSource, labelSource] = sources as [ByteSource, ByteSource]
  const images = await readIdxHeader(imageSource)
  const labels = await readIdxHeader(labelSource)
  if (labels.shape.length !== 1) {
    throw new DataError(
      'IDX_MALFORMED',
      `${labelSource.name}: labels have one axis, this file has ${labels.shape.length}.`,
    )
  }
  const [examples = 0] = images.shape
  if (labels.shape[0] !== examples) {
    throw new DataError(
      'COUNTS_DIFFER',
      `${imageSource.name} has ${examples} examples, ${labelSource.name} has ${labels.shape[0]}. Give files that belong together.`,
    )
  }
  return { images, labels, examples }
}
