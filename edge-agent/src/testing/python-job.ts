import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadMnist } from '@tributary/onnx-train/testing/mnist'
import { pino } from 'pino'
import { Datasets, type StoredDataset } from '../data/datasets.ts'
import { PythonTrainers } from '../python-worker/python-trainers.ts'
import { LocalTensors } from '../state/local-tensors.ts'
import { idxBytes } from './idx-files.ts'
import { workerExamples, workerSource } from './python-code.ts'

export type InstalledHere = { readonly framework: string; readonly python: string; readonly trainer: string }

/** A folder with the first digits of MNIST as data set `digits` and one trainer called `here`, both as an agent has them. */
export const digitsAndTrainer = async (
  folder: string,
  examples: number,
  installed: InstalledHere,
): Promise<{ readonly data: StoredDataset; readonly trainers: PythonTrainers }> => {
  const digits = loadMnist('train', examples)
  const pixels = Uint8Array.from(digits.images, value => Math.round(value * 255))
  await writeFile(join(folder, 'images'), idxBytes([examples, 28, 28], pixels))
  await writeFile(join(folder, 'labels'), idxBytes([examples], Uint8Array.from(digits.labels)))
  const declared = { name: 'digits', format: 'idx', images: 'images', labels: 'labels', scale: 255 }
  await writeFile(join(folder, 'datasets.json'), JSON.stringify({ datasets: [declared] }))
  const trainer = { name: 'here', ...installed, path: [workerSource, workerExamples], threads: 2 }
  await writeFile(join(folder, 'trainers.json'), JSON.stringify({ trainers: [trainer] }))
  const datasets = await Datasets.open(folder, { maxBytes: 2 ** 30, cacheDir: join(folder, 'rows') })
  const log = pino({ level: 'silent' })
  const local = await LocalTensors.open(join(folder, 'local'), 2 ** 30)
  return {
    data: await datasets.load('digits', 'training'),
    trainers: await PythonTrainers.open({ dataDir: folder, folder: join(folder, 'python'), local, log }),
  }
}
