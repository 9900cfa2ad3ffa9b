/** What is wrong with one image. */
export class ImageFault extends Error {
  override readonly name = 'ImageFault'
}

/** A photograph of today has up to 50 million. */
export const maxPixels = 100_000_000

/**
 * Looks at the first bytes before anything is unpacked: whether it is a PNG or a JPEG, and how large it says it is.
 * Throws ImageFault.
 */
export const checkImage = (bytes: Buffer): void => {
  if (bytes.length === 0) throw new ImageFault('it is empty')
  const size = isPng(bytes) ? pngSize(bytes) : isJpeg(bytes) ? jpegSize(bytes) : undefined
  if (size === undefined) throw new ImageFault('it is neither a PNG nor a JPEG file')
  const [width, height] = size
  if (width < 1 || height < 1) throw new ImageFault(`it has ${width} × ${height} pixels`)
  if (width * height > maxPixels)
    throw new ImageFault(`it has ${width} × ${height} pixels; at most ${maxPixels} are unpacked`)
}

const isPng = (bytes: Buffer): boolean => bytes.toString('hex', 0, 8) === '89504e470d0a1a0a'
const isJpeg = (bytes: Buffer): boolean => bytes.toString('hex', 0, 3) === 'ffd8ff'

/** https://www.w3.org/TR/png-3/#11IHDR: the first chunk. */
const pngSize = (bytes: Buffer): [width: number, height: number] => {
  if (bytes.length < 24 || bytes.toString('latin1', 12, 16) !== 'IHDR')
    throw new ImageFault('its first chunk is no header')
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
}

/** ITU-T T.81, B.2.2: the frame header, after any number of other segments. */
const jpegSize = (bytes: Buffer): [width: number, height: number] => {
  for (let at = 2; at + 9 <= bytes.length; ) {
    if (bytes[at] !== 0xff) throw new ImageFault('a segment of it does not begin as one')
    const marker = bytes[at + 1] as number
    if (marker === 0xff) {
      at++
      continue
    }
    // SOF0 … SOF15 without DHT, JPG and DAC, which lie between them.
    const frame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
    if (frame) return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)]
    at += 2 + bytes.readUInt16BE(at + 2)
  }
  throw new ImageFault('it ends before its frame header')
}
