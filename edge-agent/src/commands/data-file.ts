import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { DataFiles } from '../data/data-files.ts'
import { DatasetDeclaration } from '../data/declarations/dataset-declaration.ts'
import { readExamples } from '../data/read-examples.ts'
import { type Examples, examplesOf } from '../training/trainer.ts'
import type { Arguments } from './arguments.ts'
import { UsageError } from './usage-error.ts'

const listOf = (text: string | undefined): readonly string[] | undefined => text?.split(',').map(part => part.trim())

/** Reads the data that --data and its options name as a file. Throws UsageError, DataError. */
export const readDataFile = async (
  given: Arguments,
  folder: string,
  file: string,
  maxDataBytes: number,
): Promise<Examples> => {
  const openFile = (name: string) =>
    open(resolve(folder, name), 'r').catch(cause => {
      throw new UsageError(`${name} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause })
    })
  await using files = new DataFiles(openFile, folder)
  const data = await readExamples(declarationOf(given, file), files, maxDataBytes)
  if (examplesOf(data) === 0) throw new UsageError(`${file} holds no examples`)
  return data
}

/** What the options say of a file, as datasets.json would say it. */
const declarationOf = (given: Arguments, file: string): DatasetDeclaration => {
  const common = { name: 'data', scale: given.number('scale') ?? 1 }
  const labels = (): string => {
    const name = given.text('labels')
    if (name === undefined) throw new UsageError(`--data ${file} needs --labels: the file of the labels`)
    return name
  }
  switch (/\.([a-z]+)$/i.exec(file)?.[1]?.toLowerCase()) {
    case 'csv':
    case 'tsv': {
      given.refuse(`--data ${file}`, 'labels')
      const label = listOf(given.text('label'))
      if (label === undefined) throw new UsageError(`--data ${file} needs --label: the column of the label`)
      const separator = given.text('separator') ?? (/tsv$/i.test(file) ? '\t' : ',')
      const features = listOf(given.text('features'))
      const classes = listOf(given.text('classes'))
      return declared({ ...common, format: 'csv', file, label, separator, features, classes })
    }
    case 'jsonl':
    case 'parquet': {
      given.refuse(`--data ${file}`, 'labels', 'separator')
      const label = listOf(given.text('label'))
      if (label === undefined) throw new UsageError(`--data ${file} needs --label: the column of the label`)
      const [features, classes] = [listOf(given.text('features')), listOf(given.text('classes'))]
      const format = /parquet$/i.test(file) ? 'parquet' : 'jsonl'
      return declared({ ...common, format, file, label, features, classes })
    }
    case 'npy':
      given.refuse(`--data ${file}`, 'label', 'classes', 'separator', 'features')
      return declared({ ...common, format: 'npy', features: file, labels: labels() })
    case 'npz': {
      given.refuse(`--data ${file}`, 'label', 'classes', 'separator')
      const names = { features: given.text('features') ?? 'x', labels: given.text('labels') ?? 'y' }
      return declared({ ...common, format: 'npz', file, ...names })
    }
    default:
      given.refuse(`--data ${file}`, 'label', 'classes', 'separator', 'features')
      return declared({ ...common, format: 'idx', images: file, labels: labels() })
  }
}

const declared = (declaration: unknown): DatasetDeclaration => {
  const parsed = DatasetDeclaration.safeParse(declaration)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new UsageError(`--${issue?.path.join('.') ?? 'data'}: ${issue?.message ?? 'is wrong'}`)
}

/** Rows of a data set, copied. */
export const rowsOf = (data: Examples, rows: Uint32Array | Int32Array): Examples => {
  const examples = examplesOf(data)
  const { features, labels } = data
  const picked =
    'bytes' in features
      ? {
          ...features,
          bytes: pick(features.bytes, new Uint8Array((features.bytes.length / examples) * rows.length), rows),
        }
      : pick(features, new Float32Array((features.length / examples) * rows.length), rows)
  const count = (labels.length / examples) * rows.length
  return {
    examples: rows.length,
    features: picked,
    labels:
      labels instanceof Float32Array
        ? pick(labels, new Float32Array(count), rows)
        : pick(Int32Array.from(labels, Number), new Int32Array(count), rows),
  }
}

const pick = <Values extends Float32Array | Int32Array | Uint8Array>(
  values: Values,
  target: Values,
  rows: Uint32Array | Int32Array,
): Values => {
  const width = target.length / Math.max(rows.length, 1)
  for (const [index, row] of rows.entries()) target.set(values.subarray(row * width, (row + 1) * width), index * width)
  return target
}
