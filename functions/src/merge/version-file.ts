import { createHash, type Hash } from 'node:crypto'
import type { ObjectStore } from '../adapters/object-store.ts'
import type { StoredPart } from '../adapters/part-uploads.ts'
import type { MergedFile, ProgressNotes } from './merge-progress.ts'
import { repeated } from './storage-retries.ts'

const mebibyte = 1024 * 1024
/** S3 takes parts from 5 MiB on, and 10 000 of them. */
const leastPartBytes = 8 * mebibyte
const mostParts = 9000
/** Parts on their way at the same time. */
const mostInFlight = 2

/** The size of a file's parts follows from its own alone, so that every run cuts it in the same places. */
export const partBytesOf = (fileBytes: number): number =>
  Math.max(leastPartBytes, Math.ceil(fileBytes / mostParts / mebibyte) * mebibyte)

/** The upload of a file was completed or removed by somebody else: to be looked at again. */
export class UploadGoneError extends Error {
  override readonly name = 'UploadGoneError'
}

type FileOptions = {
  readonly store: ObjectStore
  readonly notes: ProgressNotes
  readonly file: MergedFile
  readonly key: string
  /** Of the whole file, known before. */
  readonly bytes: number
  readonly signal: AbortSignal
}

/**
 * A file of a version that is written front to back, from where an earlier run left off. A file of one part is put at once; a larger
 * one goes up in parts that stay when the run ends. Every run computes the same bytes, so runs may send the same parts at the same
 * time. Nothing is visible before `finish`.
 */
export class VersionFile implements AsyncDisposable {
  readonly key: string
  readonly bytes: number
  /** Where the first byte that is missing in storage is. */
  readonly missingFrom: number
  readonly #options: FileOptions
  readonly #upload: string | null
  readonly #stored: Map<number, StoredPart>
  readonly #inFlight = new Set<Promise<void>>()
  #failure: unknown
  #position = 0
  #part: Uint8Array | undefined
  /** Memory of parts that have arrived. */
  readonly #spare: Uint8Array[] = []
  #hash: Hash | undefined

  private constructor(options: FileOptions, upload: string | null, stored: readonly StoredPart[], missingFrom: number) {
    this.#options = options
    this.key = options.key
    this.bytes = options.bytes
    this.#upload = upload
    this.#stored = new Map(stored.map(part => [part.part, part]))
    this.missingFrom = missingFrom
  }

  /** Looks up what earlier runs stored, and begins an upload where there is none. */
  static async open(options: FileOptions): Promise<VersionFile> {
    const { store, notes, file, key, bytes, signal } = options
    const partBytes = partBytesOf(bytes)
    if (bytes <= partBytes) return new VersionFile(options, null, [], 0)
    const there = await repeated(() => store.head(key, signal), signal)
    if (there?.bytes === bytes) return new VersionFile(options, null, [], bytes)
    const { partUploads } = store
    const noted = (await notes.read()).uploads[file]
    const upload = noted ?? (await beginUpload(options))
    const listed = await repeated(() => partUploads.list(key, upload, signal), signal)
    if (listed === null) {
      await notes.dropUpload(file, upload)
      throw new UploadGoneError()
    }
    const stored = listed.filter(({ part, bytes: size }) => size === lengthOf(part, partBytes, bytes))
    const numbers = new Set(stored.map(({ part }) => part))
    let first = 1
    while (numbers.has(first)) first += 1
    return new VersionFile(options, upload, stored, Math.min(bytes, (first - 1) * partBytes))
  }

  /** Whether an earlier run has made the object. */
  get finished(): boolean {
    return this.#upload === null && this.missingFrom === this.bytes
  }

  /** The next byte that `write` is given is this one of the file; bytes that are stored already are passed over. */
  start(position: number): void {
    this.#position = position
    if (position === 0) this.#hash = createHash('sha256')
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash?.update(bytes)
    const partBytes = partBytesOf(this.bytes)
    for (let offset = 0; offset < bytes.length; ) {
      const number = Math.floor(this.#position / partBytes) + 1
      const begin = (number - 1) * partBytes
      const length = lengthOf(number, partBytes, this.bytes)
      const taken = bytes.subarray(offset, offset + begin + length - this.#position)
      if (!this.finished && !this.#stored.has(number)) {
        if (this.#part === undefined && this.#position !== begin) throw new Error(`part ${number} lacks its beginning`)
        this.#part ??= this.#spare.pop()?.subarray(0, length) ?? new Uint8Array(length)
        this.#part.set(taken, this.#position - begin)
      }
      offset += taken.length
      this.#position += taken.length
      if (this.#position === begin + length) await this.#close(number)
    }
  }

  /** @returns hex sha256 of the file, or null where it did not pass through this run from its beginning */
  async finish(): Promise<string | null> {
    const { store, key, signal } = this.#options
    if (this.#upload !== null) await this.#complete(this.#upload)
    else if (!this.finished) {
      const whole = this.#part ?? new Uint8Array(0)
      await repeated(() => store.put(key, whole, { signal }), signal)
    }
    return this.#hash?.digest('hex') ?? null
  }

  async #close(number: number): Promise<void> {
    const part = this.#part
    const upload = this.#upload
    // A file of one part waits for `finish`.
    if (part === undefined || upload === null) return
    this.#part = undefined
    while (this.#inFlight.size >= mostInFlight) await Promise.race(this.#inFlight)
    if (this.#failure !== undefined) throw this.#failure
    const sending = this.#send(upload, number, part)
      .catch(error => {
        this.#failure ??= error
      })
      .finally(() => this.#inFlight.delete(sending))
    this.#inFlight.add(sending)
  }

  async #send(upload: string, part: number, bytes: Uint8Array): Promise<void> {
    const { store, key, signal } = this.#options
    const stored = await repeated(() => store.partUploads.send({ key, upload, part }, bytes, signal), signal)
    if (stored === null) throw new UploadGoneError()
    this.#stored.set(part, stored)
    this.#spare.push(bytes)
  }

  async #complete(upload: string): Promise<void> {
    const { store, key, signal } = this.#options
    await Promise.all(this.#inFlight)
    if (this.#failure !== undefined) throw this.#failure
    const parts = [...this.#stored.values()].sort((a, b) => a.part - b.part)
    if (await repeated(() => store.partUploads.complete(key, upload, parts, signal), signal)) return
    // An answer that got lost, or another run that was faster.
    const there = await repeated(() => store.head(key, signal), signal)
    if (there?.bytes !== this.bytes) throw new UploadGoneError()
  }

  /** Parts on their way arrive; those that were sent stay for the next run. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#inFlight)
  }
}

const lengthOf = (part: number, partBytes: number, fileBytes: number): number =>
  Math.min(partBytes, fileBytes - (part - 1) * partBytes)

const beginUpload = async ({ store, notes, file, key, signal }: FileOptions): Promise<string> => {
  const begun = await repeated(() => store.partUploads.begin(key, signal), signal)
  const upload = await notes.claimUpload(file, begun)
  if (upload !== begun) await repeated(() => store.partUploads.abort(key, begun, signal), signal)
  return upload
}
