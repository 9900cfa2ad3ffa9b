import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ShardSum } from '@tributary/learning/exact-sum/shard-sum'
import type { SumRule } from '@tributary/learning/exact-sum/sum-rule'
import { SeededRandom } from '@tributary/learning/seeded/random'
import { deriveSeed } from '@tributary/learning/seeded/seed'
import { checkUpdate } from '@tributary/learning/update/check-update'
import { encodeUpdate } from '@tributary/learning/update/update-body'
import { isFloatDtype } from '@tributary/tensors/dtype'
import { writeFloats } from '@tributary/tensors/floats'
import { Manifest } from '@tributary/tensors/manifest'
import { elementCount, tensorBytes } from '@tributary/tensors/shape'
import type { Seal, SpooledBody } from '../spooled-body.ts'

/** Every kind of tensor there is; the first spans several slices and ends inside one. */
export const manifest = Manifest.parse({
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'large', dtype: 'F32', shape: [170_003], policy: 'average' },
    { name: 'personal', dtype: 'F32', shape: [9], policy: 'keep-local' },
    { name: 'half', dtype: 'F16', shape: [150_001], policy: 'average' },
    { name: 'brain', dtype: 'BF16', shape: [13], policy: 'average' },
    { name: 'double', dtype: 'F64', shape: [40_007], policy: 'average' },
    { name: 'mean', dtype: 'F32', shape: [5], policy: 'average', buffer: true },
    { name: 'nothing', dtype: 'F32', shape: [0], policy: 'average' },
    { name: 'scalar', dtype: 'F32', shape: [], policy: 'average' },
    { name: 'seen', dtype: 'BOOL', shape: [7], policy: 'max' },
    { name: 'top', dtype: 'F32', shape: [70_001], policy: 'max' },
    { name: 'tophalf', dtype: 'F16', shape: [3], policy: 'max' },
    { name: 'steps', dtype: 'I64', shape: [3], policy: 'max' },
    { name: 'small', dtype: 'I8', shape: [19], policy: 'max' },
  ],
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})

/** The same tensors, with so few elements that a body is read as a whole. */
export const smallManifest = Manifest.parse({
  ...manifest,
  tensors: manifest.tensors.map(tensor => ({ ...tensor, shape: tensor.shape.map(size => Math.min(size, 1003)) })),
})

export const rule: SumRule = {
  weighting: 'examples',
  weightCap: 1000,
  maxUpdates: 20,
  bound: 8,
  bufferBound: 64,
  clippingNorm: null,
}

/** The body of an update, another one for each seed. */
export function sampleBody(seed: number, of = manifest): Uint8Array {
  const content = new Map<string, Uint8Array>()
  for (const { name, dtype, shape } of of.tensors) {
    const random = new SeededRandom(deriveSeed('update', seed, name))
    const length = elementCount(shape) as number
    if (isFloatDtype(dtype)) {
      const values = Float64Array.from({ length }, () => Math.max(-8, Math.min(8, random.normal())))
      content.set(name, writeFloats(values, dtype))
    } else {
      const most = dtype === 'BOOL' ? 2 : 256
      content.set(
        name,
        Uint8Array.from({ length: tensorBytes(dtype, shape) as number }, () => random.below(most)),
      )
    }
  }
  return encodeUpdate(of, content)
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** The sum's file as plain TypeScript makes it. */
export function sumFileOf(updates: readonly { body: Uint8Array; weight: number }[], of = manifest): Uint8Array {
  const sum = new ShardSum(of, rule)
  for (const { body, weight } of updates) sum.add(body, checkUpdate(body, of, rule).parts, weight)
  return Buffer.concat([...sum.chunks()])
}

const gapBytes = 21

/** A folder of bodies as a spool keeps them. */
export class SampleSpool implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async make(): Promise<SampleSpool> {
    return new SampleSpool(await mkdtemp(join(tmpdir(), 'tributary-kernels-')))
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  async plain(name: string, body: Uint8Array): Promise<SpooledBody> {
    await writeFile(this.path(name), body)
    return { path: this.path(name), offset: 0, bytes: body.byteLength }
  }

  /** Sealed as one stream with what stands before it. */
  async sealed(name: string, body: Uint8Array, offset: number, seal: Seal): Promise<SpooledBody> {
    const cipher = createCipheriv('aes-256-ctr', seal.key, seal.iv)
    await writeFile(this.path(name), cipher.update(Buffer.concat([randomBytes(offset), body])))
    return { path: this.path(name), offset, bytes: body.byteLength, seal }
  }

  /** Several in one file, behind a few bytes each. */
  async together(name: string, bodies: readonly Uint8Array[], seal: Seal): Promise<SpooledBody[]> {
    const path = this.path(name)
    const places: SpooledBody[] = []
    let offset = 0
    for (const { byteLength: bytes } of bodies) {
      places.push({ path, offset: offset + gapBytes, bytes, seal })
      offset += gapBytes + bytes
    }
    const parts = bodies.flatMap(body => [randomBytes(gapBytes), body])
    await writeFile(path, createCipheriv('aes-256-ctr', seal.key, seal.iv).update(Buffer.concat(parts)))
    return places
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.folder, { recursive: true, force: true })
  }
}
