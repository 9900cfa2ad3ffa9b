/** What differs between the kernels of float32 and float64. Snippets of WAT read at the local `$from`. */
export type FloatType = {
  readonly name: 'f32' | 'f64'
  readonly bytes: 4 | 8
  /** Lanes of a v128. */
  readonly lanes: 4 | 2
  readonly vector: 'f32x4' | 'f64x2'
  /** Two elements as f64x2, `offset` bytes behind `$from`. */
  readonly pair: (offset: number) => string
  /** One element as f64. */
  readonly single: string
}

export const f32: FloatType = {
  name: 'f32',
  bytes: 4,
  lanes: 4,
  vector: 'f32x4',
  pair: offset => `(f64x2.promote_low_f32x4 (v128.load64_zero offset=${offset} (local.get $from)))`,
  single: '(f64.promote_f32 (f32.load (local.get $from)))',
}

export const f64: FloatType = {
  name: 'f64',
  bytes: 8,
  lanes: 2,
  vector: 'f64x2',
  pair: offset => `(v128.load offset=${offset} (local.get $from))`,
  single: '(f64.load (local.get $from))',
}
