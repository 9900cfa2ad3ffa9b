import type { ImagesDeclaration } from '../declarations/images-declaration.ts'
import { ImageFault, maxPixels } from './check-image.ts'

/** On use, since it is a native library. One image at a time, and nothing kept of it: the process has little memory. */
const load = async () => {
  const { default: sharp } = await import('sharp')
  sharp.cache(false)
  sharp.concurrency(1)
  return sharp
}

let loading: ReturnType<typeof load> | undefined

const fits = { stretch: 'fill', cover: 'cover', contain: 'contain' } as const

/**
 * The pixels of a PNG or JPEG image, turned upright, over black where it is transparent, at the declared size.
 * @returns bytes in the declared layout
 * @throws ImageFault
 */
export const decodeImage = async (
  bytes: Buffer,
  { height, width, channels, layout, fit }: Pick<ImagesDeclaration, 'height' | 'width' | 'channels' | 'layout' | 'fit'>,
): Promise<Uint8Array> => {
  loading ??= load()
  const sharp = await loading
  let pixels: Buffer
  try {
    const image = sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error', pages: 1 })
      .autoOrient()
      .flatten({ background: 'black' })
      .resize(width, height, { fit: fits[fit], background: 'black' })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    const raw = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
    if (raw.info.channels !== channels) throw new ImageFault(`it unpacks to ${raw.info.channels} channels`)
    pixels = raw.data
  } catch (cause) {
    if (cause instanceof ImageFault) throw cause
    throw new ImageFault(`it cannot be unpacked (${(cause as Error).message.split('\n')[0]?.slice(0, 120) ?? ''})`, {
      cause,
    })
  }
  return layout === 'hwc' || channels === 1 ? pixels : planes(pixels, channels)
}

/** Channel after channel. */
const planes = (pixels: Uint8Array, channels: number): Uint8Array => {
  const area = pixels.length / channels
  const sorted = new Uint8Array(pixels.length)
  for (let pixel = 0; pixel < area; pixel++) {
    for (let channel = 0; channel < channels; channel++)
      sorted[channel * area + pixel] = pixels[pixel * channels + channel] as number
  }
  return sorted
}
