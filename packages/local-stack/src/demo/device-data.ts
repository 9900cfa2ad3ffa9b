import { createHash } from 'node:crypto'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { partition } from '@tributary/learning/partition/partition'
import type { Split } from '../start/options.ts'
import { type DigitSet, encodeIdx, readMnist } from './mnist.ts'

export const datasetName = 'mnist'

export type DeviceData = {
  /** Data folder of each trainer, in the order of the devices. */
  readonly devices: readonly string[]
  readonly evaluator: string
  readonly trainExamples: number
}

const layoutVersion = 1

const writeDataset = async (
  folder: string,
  set: DigitSet,
  chosen: ArrayLike<number>,
  heldOut: boolean,
): Promise<void> => {
  await mkdir(folder, { recursive: true })
  const { images, labels } = encodeIdx(set, chosen)
  const dataset = { name: datasetName, heldOut, format: 'idx', images: 'images.idx', labels: 'labels.idx', scale: 255 }
  await Promise.all([
    writeFile(join(folder, 'images.idx'), images),
    writeFile(join(folder, 'labels.idx'), labels),
    writeFile(join(folder, 'datasets.json'), `${JSON.stringify({ datasets: [dataset] }, undefined, 2)}\n`),
  ])
}

/**
 * Gives every device files of its own: the training digits split over the devices, the test digits for the evaluator. What
 * an earlier start wrote for the same split is used again.
 */
export const ensureDeviceData = async (
  folder: string,
  options: { devices: number; split: Split; seed: number },
): Promise<DeviceData> => {
  const key = createHash('sha256')
    .update(JSON.stringify([layoutVersion, options.devices, options.split, options.seed]))
    .digest('hex')
  const place = join(folder, key.slice(0, 16))
  const deviceFolder = (base: string, index: number): string => join(base, `device-${index + 1}`)
  const data: DeviceData = {
    devices: Array.from({ length: options.devices }, (_, index) => deviceFolder(place, index)),
    evaluator: join(place, 'evaluator-1'),
    trainExamples: 60_000,
  }
  if (
    await stat(place).then(
      found => found.isDirectory(),
      () => false,
    )
  )
    return data
  const { train, test } = await readMnist()
  const parts = partition(train.labels, options.devices, options.split, String(options.seed))
  const unfinished = `${place}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  for (const [index, chosen] of parts.entries())
    await writeDataset(deviceFolder(unfinished, index), train, chosen, false)
  await writeDataset(
    join(unfinished, 'evaluator-1'),
    test,
    Array.from({ length: test.count }, (_, row) => row),
    true,
  )
  await rename(unfinished, place)
  return data
}
