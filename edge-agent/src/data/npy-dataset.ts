import type { ByteSource } from './byte-source.ts'
import { DataError } from './data-error.ts'
import type { DataFiles } from './data-files.ts'
import { type DatasetReader, type RowBlock, rowsPerBlock } from './dataset-reader.ts'
import type { NpyDeclaration, NpzDeclaration } from './declarations/dataset-declaration.ts'
import { affineOf } from './normaliser.ts'
import { type NpyHeader, readNpyData, readNpyHeader } from './npy.ts'
import { openNpzEntry } from './npz.ts'
import type { RowFaults } from './row-faults.ts'
import { numbersFrom } from './row-numbers.ts'
import { type Affine, affineValue, type RowLayout, rowBytesOf, unchanged } from './rows/row-layout.ts'

/** Features and labels as NumPy saves them, in two files. */
export const npyDataset = (declaration: NpyDeclaration): DatasetReader => ({
  files: [declaration.features, declaration.labels],
  ...pairReader(declaration, async files => [
    await files.source(declaration.features),
    await files.source(declaration.labels),
  ]),
})

/** The same in one archive. */
export const npzDataset = (declaration: NpzDeclaration): DatasetReader => ({
  files: [declaration.file],
  ...pairReader(declaration, async files => [
    await openNpzEntry(files, declaration.file, declaration.features),
    await openNpzEntry(files, declaration.file, declaration.labels),
  ]),
})

type Pair = readonly [features: ByteSource, labels: ByteSource]
type Headers = { features: NpyHeader; labels: NpyHeader; examples: number; layout: RowLayout; affine: Affine }

const pairReader = (
  declaration: NpyDeclaration | NpzDeclaration,
  pairOf: (files: DataFiles) => Promise<Pair>,
): Pick<DatasetReader, 'measure' | 'read'> => ({
  measure: async files => (await headersOf(await pairOf(files), declaration)).examples,
  read: async (files, faults) => {
    const pair = await pairOf(files)
    const headers = await headersOf(pair, declaration)
    return { examples: headers.examples, layout: headers.layout, blocks: blocksOf(pair, headers, faults) }
  },
})

async function* blocksOf(pair: Pair, headers: Headers, faults: RowFaults): AsyncGenerator<RowBlock> {
  const { features, labels, examples, layout, affine } = headers
  const perBlock = rowsPerBlock(rowBytesOf(layout))
  for (let first = 0; first < examples; first += perBlock) {
    const count = Math.min(perBlock, examples - first)
    const values = new Float32Array(count * layout.features)
    let faulty = -1
    const row = (index: number, width: number): number => first + Math.floor(index / width)
    await readNpyData(pair[0], rowsOf(features, first, count, layout.features), (value, index) => {
      values[index] = affineValue(affine, index % layout.features, value)
      const at = row(index, layout.features)
      if (Number.isFinite(values[index]) || at === faulty) return
      faulty = at
      faults.add(
        'FEATURES_UNUSABLE',
        `${pair[0].name}, row ${at}`,
        `${value} is no float32. Leave that row out.`,
        `row ${at}`,
      )
    })
    const length = count * layout.labels
    const truths = labels.integer ? new Int32Array(length) : new Float32Array(length)
    await readNpyData(pair[1], rowsOf(labels, first, count, layout.labels), (value, index) => {
      truths[index] = value
      const labelled = `row ${row(index, layout.labels)}`
      const place = `${pair[1].name}, ${labelled}`
      if (labels.integer && truths[index] !== value)
        faults.add('LABELS_UNUSABLE', place, `${value} is no class; they are counted from 0.`, labelled)
      else if (!Number.isFinite(truths[index]))
        faults.add('LABELS_UNUSABLE', place, `${value} is no label. Leave that row out.`, labelled)
    })
    yield { count, features: values, labels: truths, numbers: numbersFrom(first, count) }
  }
}

/** Some rows of an array. */
const rowsOf = (header: NpyHeader, first: number, count: number, width: number): NpyHeader => ({
  ...header,
  elements: count * width,
  position: header.position + first * width * header.elementBytes,
})

const headersOf = async (pair: Pair, declaration: NpyDeclaration | NpzDeclaration): Promise<Headers> => {
  const [features, labels] = [await readNpyHeader(pair[0]), await readNpyHeader(pair[1])]
  const [examples, ...shape] = features.shape
  const [labelled, ...labelShape] = labels.shape
  if (examples === undefined || labelled === undefined) {
    const { name } = pair[examples === undefined ? 0 : 1]
    throw new DataError('NPY_MALFORMED', `${name} holds a single number; its first axis must be the examples.`)
  }
  if (labelled !== examples) {
    throw new DataError(
      'COUNTS_DIFFER',
      `${pair[0].name} has ${examples} examples, ${pair[1].name} has ${labelled}. Give arrays that belong together.`,
    )
  }
  const [width, labelWidth] = [shape, labelShape].map(sizes => sizes.reduce((product, size) => product * size, 1))
  if (!width || !labelWidth) {
    throw new DataError('NPY_MALFORMED', `${pair[width ? 1 : 0].name}: an axis of its examples has length 0.`)
  }
  const layout: RowLayout = {
    stored: 'f32',
    features: width,
    labels: labelWidth,
    labelDtype: labels.integer ? 'i32' : 'f32',
    affine: unchanged,
  }
  return { features, labels, examples, layout, affine: affineOf(declaration, width) }
}
