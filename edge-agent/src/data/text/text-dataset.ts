import type { DataFiles } from '../data-files.ts'
import { type DatasetReader, type RowBlock, rowsPerBlock } from '../dataset-reader.ts'
import type { TextDeclaration } from '../declarations/text-declaration.ts'
import { RowFaults } from '../row-faults.ts'
import { type RowLayout, rowBytesOf, unchanged } from '../rows/row-layout.ts'
import { linesOf } from '../table/lines.ts'
import { quote } from '../table/quote.ts'
import { type Document, documentsOf, tableFormatOf } from './documents.ts'
import { buildVocabulary, encodeDocument, readVocabulary, type Vocabulary } from './vocabulary.ts'

/** Documents as ids of tokens, all of one length. */
export const textDataset = (declaration: TextDeclaration): DatasetReader => {
  const { file, labels, vocabulary, length, classes } = declaration
  const layout: RowLayout = { stored: 'f32', features: length, labels: 1, labelDtype: 'f32', affine: unchanged }
  return {
    files: [file, ...(labels === undefined ? [] : [labels]), ...('file' in vocabulary ? [vocabulary.file] : [])],
    measure: files => countDocuments(files, declaration),
    read: async (files, faults) => ({
      layout,
      ...(classes === undefined ? {} : { classes: classes.length }),
      blocks: blocksOf(documentsOf(files, declaration, faults), {
        vocabulary: await vocabularyOf(files, declaration),
        declaration,
        layout,
        faults,
      }),
    }),
  }
}

const countDocuments = async (files: DataFiles, declaration: TextDeclaration): Promise<number> => {
  const source = await files.source(declaration.file)
  const format = tableFormatOf(declaration)
  if (format !== undefined) return (await format.measure(source)).rows
  let lines = 0
  for await (const _ of linesOf(source, 'TEXT_MALFORMED')) lines++
  return lines
}

const vocabularyOf = async (files: DataFiles, declaration: TextDeclaration): Promise<Vocabulary> => {
  const { vocabulary } = declaration
  if ('file' in vocabulary) return readVocabulary(await files.source(vocabulary.file), declaration)
  const texts = async function* (): AsyncGenerator<string> {
    // Its faults are told when the documents are read for good.
    for await (const { text } of documentsOf(files, declaration, new RowFaults())) yield text
  }
  return buildVocabulary(texts(), { ...declaration, mostFrequent: vocabulary.mostFrequent })
}

type Context = {
  readonly vocabulary: Vocabulary
  readonly declaration: TextDeclaration
  readonly layout: RowLayout
  readonly faults: RowFaults
}

async function* blocksOf(documents: AsyncGenerator<Document>, context: Context): AsyncGenerator<RowBlock> {
  const { vocabulary, declaration, layout, faults } = context
  const { split } = declaration
  const heldOutValues = new Set(split !== undefined && 'column' in split ? split.values : [])
  const classes = new Map(declaration.classes?.map((name, index) => [name, index]))
  const most = rowsPerBlock(rowBytesOf(layout))
  for (let next = await documents.next(); next.done !== true; ) {
    const features = new Float32Array(most * layout.features)
    const labels = new Float32Array(most)
    const numbers = new Float64Array(most)
    const heldOut = new Uint8Array(most)
    let count = 0
    for (; count < most && next.done !== true; next = await documents.next()) {
      const { text, label, place, number, part } = next.value
      const truth = labelOf(label, classes)
      if (truth === undefined) {
        const what = classes.size > 0 ? `none of the ${classes.size} classes that are declared` : 'no number'
        faults.add(
          'LABELS_UNUSABLE',
          `${declaration.labels ?? declaration.file}, ${place}`,
          `${quote(String(label))} is ${what}.`,
          place,
        )
        continue
      }
      encodeDocument(
        text,
        vocabulary,
        declaration,
        features.subarray(count * layout.features, (count + 1) * layout.features),
      )
      labels[count] = truth
      numbers[count] = number
      heldOut[count++] = heldOutValues.has(String(part)) ? 1 : 0
    }
    yield { count, features, labels, numbers, heldOut }
  }
}

const labelOf = (label: unknown, classes: ReadonlyMap<string, number>): number | undefined => {
  const text = typeof label === 'string' ? label.trim() : String(label)
  if (classes.size > 0) return classes.get(text)
  const value = Math.fround(Number(text))
  return text !== '' && Number.isFinite(value) ? value : undefined
}
