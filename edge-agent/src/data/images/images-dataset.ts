import { DataError } from '../data-error.ts'
import type { DataFiles } from '../data-files.ts'
import { type DatasetReader, type RowBlock, rowsPerBlock } from '../dataset-reader.ts'
import type { ImagesDeclaration } from '../declarations/images-declaration.ts'
import { affineOf, channelsOf } from '../normaliser.ts'
import type { RowFaults } from '../row-faults.ts'
import { type RowLayout, rowBytesOf } from '../rows/row-layout.ts'
import { csvTable } from '../table/csv-table.ts'
import { quote } from '../table/quote.ts'
import { checkImage, ImageFault } from './check-image.ts'
import { decodeImage } from './decode-image.ts'

type Image = { readonly name: string; readonly label: number }

/** Largest file that is read. */
const maxFileBytes = 2 ** 26

/** A folder of images: the class is the sub-folder, or what a table says. */
export const imagesDataset = (declaration: ImagesDeclaration): DatasetReader => ({
  files: declaration.labels === undefined ? [] : [declaration.labels.file],
  folder: declaration.folder,
  measure: async files =>
    declaration.labels === undefined
      ? (await files.images(declaration.folder)).length
      : csvTable(',')
          .measure(await files.source(declaration.labels.file))
          .then(({ rows }) => rows),
  read: async (files, faults) => {
    const layout = layoutOf(declaration)
    const images =
      declaration.labels === undefined ? await byFolder(files, declaration) : await byTable(files, declaration, faults)
    return {
      examples: images.length,
      layout,
      classes: declaration.classes.length,
      blocks: blocksOf(images, { files, faults, declaration, layout }),
    }
  },
})

const layoutOf = (declaration: ImagesDeclaration): RowLayout => {
  const { height, width, channels } = declaration
  const features = height * width * channels
  const affine = affineOf(declaration, features, channelsOf(declaration))
  return { stored: 'u8', features, labels: 1, labelDtype: 'i32', affine }
}

const byFolder = async (files: DataFiles, { folder, classes }: ImagesDeclaration): Promise<readonly Image[]> => {
  const positions = new Map(classes.map((name, index) => [name, index]))
  const images: Image[] = []
  for (const name of await files.images(folder)) {
    const below = name.slice(folder.length + 1)
    const label = positions.get(below.split('/')[0] ?? '')
    if (label !== undefined && below.includes('/')) images.push({ name, label })
    else
      throw new DataError(
        'LABELS_UNUSABLE',
        `${name} lies in none of the folders of the ${classes.length} classes that are declared (${classes.slice(0, 8).map(quote).join(', ')}). Move it, or declare its folder as a class.`,
      )
  }
  return images
}

const byTable = async (
  files: DataFiles,
  { folder, classes, labels }: ImagesDeclaration,
  faults: RowFaults,
): Promise<readonly Image[]> => {
  if (labels === undefined) return []
  const positions = new Map(classes.map((name, index) => [name, index]))
  const table = await csvTable(',').open(await files.source(labels.file), undefined, faults)
  const find = (column: string): number => {
    const position = table.columns.indexOf(column)
    if (position !== -1) return position
    const found = table.columns.slice(0, 8).map(quote).join(', ')
    throw new DataError(
      'CSV_MALFORMED',
      `${labels.file}, line 1: the table has no column ${quote(column)}, but ${found}.`,
    )
  }
  const [imageColumn, labelColumn] = [find(labels.image), find(labels.label)]
  const images: Image[] = []
  for await (const { cells, place } of table.rows) {
    const [image, text] = [imageColumn, labelColumn].map(column => String(cells[column]).trim()) as [string, string]
    const label = positions.get(text)
    if (label !== undefined) images.push({ name: `${folder}/${image}`, label })
    else
      faults.add(
        'LABELS_UNUSABLE',
        `${labels.file}, ${place}, column ${quote(labels.label)}`,
        `${quote(text)} is none of the ${classes.length} classes that are declared.`,
        `${place}, column ${labelColumn + 1}`,
      )
  }
  return images
}

type Context = {
  readonly files: DataFiles
  readonly faults: RowFaults
  readonly declaration: ImagesDeclaration
  readonly layout: RowLayout
}

async function* blocksOf(images: readonly Image[], context: Context): AsyncGenerator<RowBlock> {
  const { layout } = context
  const most = rowsPerBlock(rowBytesOf(layout))
  for (let first = 0; first < images.length; first += most) {
    const part = images.slice(first, first + most)
    const features = new Uint8Array(part.length * layout.features)
    const labels = new Int32Array(part.length)
    const numbers = new Float64Array(part.length)
    let count = 0
    for (const [index, image] of part.entries()) {
      const pixels = await pixelsOf(image, context)
      if (pixels === undefined) continue
      features.set(pixels, count * layout.features)
      labels[count] = image.label
      numbers[count++] = first + index
    }
    yield { count, features, labels, numbers }
  }
}

/** Undefined when the image is broken, which is a fault or passed over, as the declaration says. */
const pixelsOf = async (
  { name }: Image,
  { files, faults, declaration, layout }: Context,
): Promise<Uint8Array | undefined> => {
  try {
    return await files.withFile(name, async source => {
      if (source.size > maxFileBytes) throw new ImageFault(`it has ${source.size} bytes; at most 64 MiB are read`)
      const bytes = await source.read(0, source.size)
      checkImage(bytes)
      const pixels = await decodeImage(bytes, declaration)
      if (pixels.length === layout.features) return pixels
      throw new ImageFault(`it has ${pixels.length} values, not ${layout.features}`)
    })
  } catch (error) {
    if (!(error instanceof ImageFault) && !(error instanceof DataError)) throw error
    if (error instanceof DataError && error.code !== 'FILE_UNREADABLE') throw error
    if (declaration.onBroken === 'skip') faults.skip()
    else if (error instanceof DataError) faults.add(error.code, name, 'it cannot be read. Check who may read it.')
    else faults.add('IMAGE_BROKEN', name, `${error.message}. Mend it, or declare "onBroken": "skip".`)
    return undefined
  }
}
