/**
 * What a stored value stands for: value / scale, less `shift`, by `divisor`. The k-th feature of a row uses entry
 * ⌊k / run⌋ mod the number of entries: one for all, one for each channel, or one for each feature.
 */
export type Affine = {
  readonly scale: number
  readonly shift: readonly number[]
  readonly divisor: readonly number[]
  /** Features side by side that share an entry. */
  readonly run: number
}

export const unchanged: Affine = { scale: 1, shift: [0], divisor: [1], run: 1 }

/** How one example is stored. */
export type RowLayout = {
  /** Bytes that `affine` turns into numbers, or the numbers themselves. */
  readonly stored: 'u8' | 'f32'
  /** Numbers of one example. */
  readonly features: number
  /** Labels of one example. */
  readonly labels: number
  readonly labelDtype: 'i32' | 'f32'
  /** Of bytes; numbers are stored as they are used. */
  readonly affine: Affine
}

const align = 4

/** Bytes of the stored features of one row, filled up to a multiple of four. */
export const featureBytesOf = ({ stored, features }: RowLayout): number =>
  stored === 'f32' ? 4 * features : Math.ceil(features / align) * align

/** Bytes of one row: labels, then features. */
export const rowBytesOf = (layout: RowLayout): number => 4 * layout.labels + featureBytesOf(layout)

/** What a value stands for; in float64, rounded once by who stores it. */
export const affineValue = ({ scale, shift, divisor, run }: Affine, feature: number, value: number): number => {
  const entry = Math.floor(feature / run) % shift.length
  return (value / scale - (shift[entry] as number)) / (divisor[entry] as number)
}

/** For each entry, what each byte stands for: entry e, byte b at 256 e + b. */
export const byteValues = (affine: Affine): Float32Array =>
  Float32Array.from({ length: 256 * affine.shift.length }, (_, index) =>
    affineValue(affine, (index >> 8) * affine.run, index & 255),
  )
