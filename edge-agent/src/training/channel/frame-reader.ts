import { type FrameArray, type FrameHeader, prefixBytes } from './encode-frame.ts'

/** Largest JSON part of a frame: names and settings, no values. */
const maxHeaderBytes = 16 * 2 ** 20

const constructors = { f32: Float32Array, i32: Int32Array, u8: Uint8Array } as const

type Filling = { readonly target: Uint8Array; filled: number; readonly whole: () => void }

/** Puts frames together from chunks as they come; every array is written once, where it stays. */
export class FrameReader {
  readonly #onMessage: (message: unknown) => void
  readonly #maxArrayBytes: () => number
  #filling: Filling

  /** @param maxArrayBytes most bytes of the arrays of the next frame, together */
  constructor(onMessage: (message: unknown) => void, maxArrayBytes: () => number) {
    this.#onMessage = onMessage
    this.#maxArrayBytes = maxArrayBytes
    this.#filling = this.#prefix()
  }

  /** Takes what came; the chunk may be used again afterwards. Throws RangeError, SyntaxError for bytes that are no frame. */
  push(chunk: Uint8Array): void {
    for (let position = 0; position < chunk.length; ) {
      const filling = this.#filling
      const piece = chunk.subarray(position, position + filling.target.length - filling.filled)
      filling.target.set(piece, filling.filled)
      filling.filled += piece.length
      position += piece.length
      if (filling.filled === filling.target.length) filling.whole()
    }
  }

  #prefix(): Filling {
    const target = Buffer.alloc(prefixBytes)
    return fill(target, () => {
      const bytes = target.readUInt32LE()
      if (bytes === 0 || bytes > maxHeaderBytes) throw new RangeError(`A frame has a header of ${bytes} bytes.`)
      this.#filling = this.#header(bytes)
    })
  }

  #header(bytes: number): Filling {
    const target = Buffer.alloc(bytes)
    return fill(target, () => {
      const { message, arrays } = JSON.parse(target.toString()) as FrameHeader
      const total = arrays.reduce((sum, array) => sum + array.bytes, 0)
      const most = this.#maxArrayBytes()
      if (!(total >= 0 && total <= most))
        throw new RangeError(`A frame has ${total} bytes of arrays, at most ${most} are due.`)
      const made = arrays.map(({ type, bytes: size }) => {
        const Constructor = constructors[type]
        return new Constructor(size / Constructor.BYTES_PER_ELEMENT)
      })
      this.#arrays(message, made, 0)
    })
  }

  /** Fills the arrays from `index` on; then the message is whole. */
  #arrays(message: unknown, arrays: readonly FrameArray[], index: number): void {
    const array = arrays[index]
    if (array === undefined) {
      this.#filling = this.#prefix()
      this.#onMessage(withArrays(message, arrays))
    } else if (array.byteLength === 0) {
      this.#arrays(message, arrays, index + 1)
    } else {
      this.#filling = fill(new Uint8Array(array.buffer), () => this.#arrays(message, arrays, index + 1))
    }
  }
}

const fill = (target: Uint8Array, whole: () => void): Filling => ({ target, filled: 0, whole })

const withArrays = (value: unknown, arrays: readonly FrameArray[]): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(item => withArrays(item, arrays))
  if ('array' in value && typeof value.array === 'number') return arrays[value.array]
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withArrays(item, arrays)]))
}
