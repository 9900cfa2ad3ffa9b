import { writeFile } from 'node:fs/promises'

/** Bytes of an IDX file of unsigned bytes. */
export const idxBytes = (shape: readonly number[], data: Uint8Array): Buffer => {
  const header = Buffer.alloc(4 + 4 * shape.length)
  header.writeUInt32BE(0x0800 + shape.length)
  for (const [axis, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * axis)
  return Buffer.concat([header, data])
}

export type Stripes = {
  /** A stripe is 255 / scale. @default 255 */
  readonly scale?: number
  /** As `datasets.json` has it. */
  readonly split?: object
  readonly tell?: readonly string[]
  readonly normalise?: object
}

/** Writes a data set of `examples` striped 28 × 28 images, class i mod 10, and declares it. */
export const writeStripes = async (
  folder: string,
  examples: number,
  heldOut = false,
  { scale = 255, ...others }: Stripes = {},
): Promise<void> => {
  const pixels = new Uint8Array(examples * 784)
  for (let i = 0; i < pixels.length; i += 1)
    pixels[i] = (Math.floor(i / 784) % 10) * 3 === Math.floor((i % 784) / 28) ? 255 : 0
  await writeFile(`${folder}/images.idx`, idxBytes([examples, 28, 28], pixels))
  await writeFile(
    `${folder}/labels.idx`,
    idxBytes(
      [examples],
      Uint8Array.from({ length: examples }, (_, i) => i % 10),
    ),
  )
  const files = { format: 'idx', images: 'images.idx', labels: 'labels.idx' }
  const dataset = { name: 'stripes', heldOut, ...files, scale, ...others }
  await writeFile(`${folder}/datasets.json`, JSON.stringify({ datasets: [dataset] }))
}
