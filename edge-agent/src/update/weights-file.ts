import { type FileHandle, open } from 'node:fs/promises'
import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import type { ManifestTensor } from '@tributary/tensors/manifest'
import { parseHeader, readHeaderBytes } from '@tributary/tensors/safetensors/parse-header'
import { sameShape } from '@tributary/tensors/shape'
import type { PlacedTensor } from '@tributary/tensors/tensor'

/** A file of weights on disk, read in parts. */
export class WeightsFile implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #tensors: ReadonlyMap<string, PlacedTensor>

  private constructor(file: FileHandle, tensors: ReadonlyMap<string, PlacedTensor>) {
    this.#file = file
    this.#tensors = tensors
  }

  /**
   * Opens a file and holds it against the tensors that it must have; others do no harm.
   * @throws SafetensorsError, InvalidUpdateError TENSOR_MISSING and TENSOR_MISMATCH, which name the tensor
   */
  static async open(path: string, wanted: readonly ManifestTensor[]): Promise<WeightsFile> {
    await using stack = new AsyncDisposableStack()
    const file = stack.use(await open(path, 'r'))
    const { size } = await file.stat()
    const start = await readBytes(file, 0, Math.min(8, size))
    const header = await readBytes(file, 0, Math.min(readHeaderBytes(start), size))
    const { tensors } = parseHeader(header, { fileBytes: size })
    for (const { name, dtype, shape } of wanted) {
      const tensor = tensors.get(name)
      const quoted = JSON.stringify(name.slice(0, 80))
      if (tensor === undefined) throw new InvalidUpdateError('TENSOR_MISSING', `the weights lack ${quoted}`, name)
      if (tensor.dtype === dtype && sameShape(tensor.shape, shape)) continue
      const message = `${quoted} is ${tensor.dtype} [${tensor.shape}]; the manifest says ${dtype} [${shape}]`
      throw new InvalidUpdateError('TENSOR_MISMATCH', message, name)
    }
    stack.move()
    return new WeightsFile(file, tensors)
  }

  /** A part of a tensor that the file has, aligned for every dtype. */
  read(name: string, from: number, bytes: number): Promise<Uint8Array> {
    const { offset } = this.#tensors.get(name) as PlacedTensor
    return readBytes(this.#file, offset + from, bytes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

const readBytes = async (file: FileHandle, position: number, length: number): Promise<Uint8Array> => {
  const bytes = new Uint8Array(length)
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled)
    if (bytesRead === 0) throw new Error('a file of weights became shorter while it was read')
    filled += bytesRead
  }
  return bytes
}
