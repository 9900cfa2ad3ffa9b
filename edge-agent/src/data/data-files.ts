import type { Stats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { type ByteSource, fileSource } from './byte-source.ts'
import { listImages, statImages } from './images/list-images.ts'
import { openDataFile } from './open-data-file.ts'

/** Opens files by their declared names, and closes them all at the end. */
export class DataFiles implements AsyncDisposable {
  readonly #open: (name: string) => Promise<FileHandle>
  readonly #dataDir: string
  readonly #opened = new AsyncDisposableStack()
  readonly #sources = new Map<string, ByteSource>()

  /** @param dataDir that folders lie in */
  constructor(open: (name: string) => Promise<FileHandle>, dataDir: string) {
    this.#open = open
    this.#dataDir = dataDir
  }

  /** Files of the data folder, and nothing outside of it. */
  static of(dataDir: string): DataFiles {
    return new DataFiles(name => openDataFile(dataDir, name), dataDir)
  }

  /** A file that stays open until the end. Throws DataError. */
  async source(name: string): Promise<ByteSource> {
    const known = this.#sources.get(name)
    if (known !== undefined) return known
    const source = await fileSource(this.#opened.use(await this.#open(name)), name)
    this.#sources.set(name, source)
    return source
  }

  /** Closes this one as well at the end. */
  own<Opened extends AsyncDisposable>(opened: Opened): Opened {
    return this.#opened.use(opened)
  }

  /** The whole of a small file, which is closed at once. Throws DataError. */
  async withFile<Result>(name: string, use: (source: ByteSource) => Promise<Result>): Promise<Result> {
    await using file = await this.#open(name)
    return await use(await fileSource(file, name))
  }

  /** What the file system says of a file, which changes when the file does. Throws DataError. */
  async stat(name: string): Promise<Stats> {
    await using file = await this.#open(name)
    return await file.stat()
  }

  /** Names of the images under a folder, from the data folder, in the order of their code units. Throws DataError. */
  images(folder: string): Promise<readonly string[]> {
    return listImages(this.#dataDir, folder)
  }

  /** The same with what the file system says of each. */
  imageStats(folder: string): AsyncGenerator<readonly [name: string, Stats]> {
    return statImages(this.#dataDir, folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }
}
