import { type ByteSource, readSlices } from './byte-source.ts'
import { DataError } from './data-error.ts'
import type { DataFiles } from './data-files.ts'
import { type DatasetReader, type RowBlock, rowsPerBlock } from './dataset-reader.ts'
import type { IdxDeclaration } from './declarations/dataset-declaration.ts'
import { type IdxHeader, readIdxHeader } from './idx.ts'
import { affineOf } from './normaliser.ts'
import { numbersFrom } from './row-numbers.ts'
import { type RowLayout, rowBytesOf } from './rows/row-layout.ts'

type Headers = {
  readonly imageSource: ByteSource
  readonly labelSource: ByteSource
  readonly images: IdxHeader
  readonly labels: IdxHeader
  readonly examples: number
  readonly layout: RowLayout
}

/** IDX files do not say how many classes there are. Of no more than these examples are counted: their header is one page. */
const countedClasses = 128

/** Images and their classes in two IDX files, as MNIST is published. */
export const idxDataset = (declaration: IdxDeclaration): DatasetReader => ({
  files: [declaration.images, declaration.labels],
  measure: async files => (await headersOf(files, declaration)).examples,
  read: async files => {
    const headers = await headersOf(files, declaration)
    return { examples: headers.examples, layout: headers.layout, classes: countedClasses, blocks: blocksOf(headers) }
  },
})

async function* blocksOf({
  imageSource,
  labelSource,
  images,
  labels,
  examples,
  layout,
}: Headers): AsyncGenerator<RowBlock> {
  const perBlock = rowsPerBlock(rowBytesOf(layout))
  for (let first = 0; first < examples; first += perBlock) {
    const count = Math.min(perBlock, examples - first)
    const pixels = new Uint8Array(count * layout.features)
    const place = { position: images.headerBytes + first * layout.features, count: pixels.length, elementBytes: 1 }
    await readSlices(imageSource, place, (slice, at) => pixels.set(slice, at))
    const classes = await labelSource.read(labels.headerBytes + first, count)
    yield { count, features: pixels, labels: Int32Array.from(classes), numbers: numbersFrom(first, count) }
  }
}

const headersOf = async (files: DataFiles, declaration: IdxDeclaration): Promise<Headers> => {
  const imageSource = await files.source(declaration.images)
  const labelSource = await files.source(declaration.labels)
  const images = await readIdxHeader(imageSource)
  const labels = await readIdxHeader(labelSource)
  if (labels.shape.length !== 1) {
    throw new DataError(
      'IDX_MALFORMED',
      `${labelSource.name}: labels have one axis, this file has ${labels.shape.length}.`,
    )
  }
  const [examples = 0, ...shape] = images.shape
  if (labels.shape[0] !== examples) {
    throw new DataError(
      'COUNTS_DIFFER',
      `${imageSource.name} has ${examples} examples, ${labelSource.name} has ${labels.shape[0]}. Give files that belong together.`,
    )
  }
  const features = shape.reduce((product, size) => product * size, 1)
  if (features === 0) throw new DataError('IDX_MALFORMED', `${imageSource.name}: its examples hold nothing.`)
  const affine = affineOf(declaration, features)
  const layout: RowLayout = { stored: 'u8', features, labels: 1, labelDtype: 'i32', affine }
  return { imageSource, labelSource, images, labels, examples, layout }
}
