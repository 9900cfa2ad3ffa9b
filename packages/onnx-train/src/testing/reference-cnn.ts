/** [N, C, H, W] in row-major order, in doubles. */
export type Image = { readonly shape: readonly [number, number, number, number]; readonly data: Float64Array }

type ConvOptions = {
  readonly stride: number
  readonly dilation: number
  readonly padBegin: number
  readonly padEnd: number
}

/** Convolution by its definition, the same along both axes. For tests. */
export const convByDefinition = (x: Image, w: Image, bias: Float64Array, options: ConvOptions): Image => {
  const { stride, dilation, padBegin, padEnd } = options
  const [batch, channels, height, width] = x.shape
  const [filters, , kernelHeight, kernelWidth] = w.shape
  const size = (length: number, kernel: number): number =>
    Math.floor((length + padBegin + padEnd - dilation * (kernel - 1) - 1) / stride) + 1
  const shape = [batch, filters, size(height, kernelHeight), size(width, kernelWidth)] as const
  const data = new Float64Array(shape.reduce((product, length) => product * length, 1))
  let position = 0
  for (const [n, f, i, j] of indices(shape)) {
    let sum = bias[f] ?? 0
    for (const [c, p, q] of indices([channels, kernelHeight, kernelWidth])) {
      const row = i * stride + p * dilation - padBegin
      const column = j * stride + q * dilation - padBegin
      if (row < 0 || row >= height || column < 0 || column >= width) continue
      const pixel = x.data[((n * channels + c) * height + row) * width + column] ?? 0
      sum += pixel * (w.data[((f * channels + c) * kernelHeight + p) * kernelWidth + q] ?? 0)
    }
    data[position++] = sum
  }
  return { shape, data }
}

/** Max pooling whose windows touch and do not overlap; rows that fill no window are left out. For tests. */
export const maxPoolByDefinition = (x: Image, kernel: number): Image => {
  const [batch, channels, height, width] = x.shape
  const shape = [batch, channels, Math.floor(height / kernel), Math.floor(width / kernel)] as const
  const data = new Float64Array(shape.reduce((product, length) => product * length, 1))
  let position = 0
  for (const [n, c, i, j] of indices(shape)) {
    let largest = Number.NEGATIVE_INFINITY
    for (const [p, q] of indices([kernel, kernel])) {
      const pixel = x.data[((n * channels + c) * height + i * kernel + p) * width + j * kernel + q] ?? 0
      largest = Math.max(largest, pixel)
    }
    data[position++] = largest
  }
  return { shape, data }
}

/** Mean over the batch of −log softmax(logits)[label]. For tests. */
export const crossEntropyByDefinition = (logits: Image['data'], classes: number, labels: Int32Array): number =>
  labels.reduce((sum, label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes)
    return sum + Math.log(row.reduce((total, score) => total + Math.exp(score), 0)) - (row[label] ?? 0)
  }, 0) / labels.length

type Index = number[] & { 0: number; 1: number; 2: number; 3: number }

/** Every index of a shape in row-major order; the array is the same one each time. */
function* indices(shape: readonly number[]): Generator<Index> {
  const index = shape.map(() => 0)
  for (let axis = 0; axis >= 0; ) {
    yield index as Index
    for (axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] ?? 0) + 1
      if (index[axis] !== shape[axis]) break
      index[axis] = 0
    }
  }
}
