import { mkdtempDisposable, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { epochOrder } from '@tributary/learning/seeded/epoch-order'
import { Datasets } from '../data/datasets.ts'
import { type DataSet, examplesOf } from '../training/trainer.ts'
import { type Arguments, dataOptions } from './arguments.ts'
import { readDataFile, rowsOf } from './data-file.ts'
import { UsageError } from './usage-error.ts'

/** Bytes of features held in memory. */
const maxDataBytes = 2 ** 32

type Named = { readonly name: string; readonly data: DataSet }
export type ChosenData = { readonly training: Named; readonly heldOut: Named | undefined }

/** The data that --data names: a folder with a datasets.json, or a file. Throws UsageError, DataError. */
export const chooseData = async (given: Arguments, folder: string, seed: Uint8Array): Promise<ChosenData> => {
  const path = given.text('data')
  if (path === undefined) throw new UsageError('train needs --data: a folder with a datasets.json, or a file')
  const found = await stat(resolve(folder, path)).catch(() => undefined)
  if (found?.isFile() === true) return fromFile(given, folder, path, seed)
  if (found === undefined && /\.\w+$/.test(path)) throw new UsageError(`${path}: there is no such file or folder`)
  given.refuse('--data with a folder', ...dataOptions)
  return fromFolder(resolve(folder, path), given.text('dataset'))
}

/** Holds a share of the rows out where that is asked for: which ones follows from the seed. */
const fromFile = async (given: Arguments, folder: string, name: string, seed: Uint8Array): Promise<ChosenData> => {
  given.refuse(`--data ${name}`, 'dataset')
  const share = given.number('hold-out') ?? 0
  if (share < 0 || share >= 1) throw new UsageError(`--hold-out takes a share from 0 to below 1, not ${share}`)
  const data = await readDataFile(given, folder, name, maxDataBytes)
  const examples = examplesOf(data)
  const heldOut = Math.round(share * examples)
  if (heldOut === 0) return { training: { name, data }, heldOut: undefined }
  if (heldOut === examples)
    throw new UsageError(`--hold-out ${share} leaves none of the ${examples} examples to train on`)
  const order = epochOrder(seed, 2 ** 31 - 1, examples)
  return {
    training: { name, data: rowsOf(data, order.subarray(heldOut)) },
    heldOut: { name: `${heldOut} examples held out`, data: rowsOf(data, order.subarray(0, heldOut)) },
  }
}

const fromFolder = async (dataDir: string, wanted: string | undefined): Promise<ChosenData> => {
  await using converted = await mkdtempDisposable(join(tmpdir(), 'tributary-data-'))
  const datasets = await Datasets.open(dataDir, { maxBytes: maxDataBytes, cacheDir: converted.path })
  const faults: string[] = []
  const onFault = (name: string, error: Error) => void faults.push(`${name}: ${error.message}`)
  const summaries = await datasets.summaries(onFault, { convert: 'uncounted' })
  const names = summaries.filter(({ heldOut }) => !heldOut).map(({ name }) => name)
  const [heldOut] = summaries.filter(summary => summary.heldOut).map(({ name }) => name)
  const [only] = names
  if (wanted === undefined && names.length > 1) throw new UsageError(`--dataset is one of ${names.join(', ')}`)
  const training = wanted ?? only
  if (training === undefined) throw new UsageError(faults[0] ?? 'datasets.json declares no data set to train on')
  const read = async (name: string, purpose: 'training' | 'evaluation'): Promise<Named> => ({
    name,
    data: await (await datasets.load(name, purpose)).read(),
  })
  return {
    training: await read(training, 'training'),
    heldOut: heldOut === undefined ? undefined : await read(heldOut, 'evaluation'),
  }
}
