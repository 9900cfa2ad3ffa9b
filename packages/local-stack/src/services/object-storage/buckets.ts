import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Bucket } from './bucket.ts'
import { MultipartUploads } from './multipart-uploads.ts'
import { StorageError } from './storage-error.ts'

export interface OpenBucket {
  readonly bucket: Bucket
  readonly uploads: MultipartUploads
}

const bucketName = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/

/** As the lifecycle rule of a bucket in the cloud, docs/registry.md. Nothing is taken from who comes back after a weekend. */
const unfinishedDays = 7

/** All buckets of the endpoint: folders by name. */
export class Buckets {
  readonly #folder: string
  readonly #open = new Map<string, OpenBucket>()

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(folder: string, names: readonly string[]): Promise<Buckets> {
    const buckets = new Buckets(folder)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const found = (await readdir(folder)).filter(name => bucketName.test(name))
    for (const name of new Set([...found, ...names])) await buckets.#add(name)
    return buckets
  }

  names(): string[] {
    return [...this.#open.keys()].sort()
  }

  /** @throws StorageError NoSuchBucket */
  get(name: string): OpenBucket {
    const found = this.#open.get(name)
    if (!found) throw new StorageError('NoSuchBucket', 'The specified bucket does not exist')
    return found
  }

  /** @throws StorageError InvalidBucketName, BucketAlreadyOwnedByYou */
  async create(name: string): Promise<void> {
    if (this.#open.has(name)) throw new StorageError('BucketAlreadyOwnedByYou', 'this bucket is there already')
    await this.#add(name)
  }

  async #add(name: string): Promise<void> {
    if (!bucketName.test(name))
      throw new StorageError('InvalidBucketName', 'a bucket name has 3 to 63 small letters, digits and hyphens')
    const bucket = await Bucket.open(join(this.#folder, name), name)
    const uploads = new MultipartUploads(bucket)
    await uploads.removeOlder(Date.now() - unfinishedDays * 86_400_000)
    this.#open.set(name, { bucket, uploads })
  }
}
