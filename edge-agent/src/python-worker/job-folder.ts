import { randomUUID } from 'node:crypto'
import { mkdir, open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { epochOrder } from '@tributary/learning/seeded/epoch-order'

/** The files of one job, in a folder that ends with it. */
export class JobFolder implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async create(parent: string): Promise<JobFolder> {
    const path = join(parent, randomUUID())
    await mkdir(path, { recursive: true, mode: 0o700 })
    return new JobFolder(path)
  }

  file(name: string): string {
    return join(this.path, name)
  }

  /** @returns the file's name */
  async writeJob(job: unknown): Promise<string> {
    const file = this.file('job.json')
    await writeFile(file, JSON.stringify(job), { mode: 0o600 })
    return file
  }

  /** Orders of all local epochs as a NumPy array int32 [localEpochs, examples], of which one epoch is in memory at a time. */
  async writeOrders(seed: Uint8Array, localEpochs: number, examples: number): Promise<string> {
    const path = this.file('orders.npy')
    await using file = await open(path, 'wx', 0o600)
    await file.writeFile(npyHeader([localEpochs, examples]))
    for (let epoch = 0; epoch < localEpochs; epoch += 1)
      await file.writeFile(new Uint8Array(Int32Array.from(epochOrder(seed, epoch, examples)).buffer))
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

/** https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0: filled up to a multiple of 64. */
const npyHeader = (shape: readonly number[]): Buffer => {
  const text = `{'descr': '<i4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10
  const header = Buffer.alloc(10 + length, ' ')
  header.write('\x93NUMPY\x01\x00', 'latin1')
  header.writeUInt16LE(length, 8)
  header.write(text, 10, 'latin1')
  header.write('\n', 10 + length - 1, 'latin1')
  return header
}
