import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as z from 'zod'
import type { Bucket, WriteCondition } from './bucket.ts'
import { type Checksum, type ChecksumName, checksumNames, compositeChecksum, startChecksum } from './checksums.ts'
import { moveDurably, writeDurably } from './durable-file.ts'
import type { ObjectRecord } from './object-record.ts'
import type { ReceivedBody } from './receive-body.ts'
import { StorageError } from './storage-error.ts'
import type { NamedPart } from './xml.ts'

const Upload = z.object({
  key: z.string(),
  headers: z.record(z.string(), z.string()),
  /** What the client asked for; without it the parts decide. */
  checksum: z.enum(checksumNames).optional(),
  fullObject: z.boolean(),
})
export type Upload = z.infer<typeof Upload>

const Part = z.object({
  number: z.int(),
  bytes: z.int(),
  md5: z.string(),
  checksum: z.object({ name: z.enum(checksumNames), value: z.string() }),
  file: z.string().regex(/^[0-9a-f-]{36}$/),
  modified: z.iso.datetime(),
})
export type Part = z.infer<typeof Part>

/** S3's smallest part but the last. */
export const minPartBytes = 5 * 1024 * 1024
export const maxPartNumber = 10_000

/** The uploads in parts of one bucket: `uploads/<id>/upload.json`, and for each part `<number>.json` and its bytes. */
export class MultipartUploads {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  async create(upload: Upload): Promise<string> {
    const id = randomBytes(24).toString('hex')
    await mkdir(this.#folder(id), { mode: 0o700 })
    await writeDurably(join(this.#folder(id), 'upload.json'), JSON.stringify(upload))
    return id
  }

  /** Removes uploads that nobody added to since `time`, Unix milliseconds. */
  async removeOlder(time: number): Promise<void> {
    for (const id of await readdir(join(this.#bucket.folder, 'uploads'))) {
      const { mtimeMs } = await stat(this.#folder(id))
      if (mtimeMs < time) await this.abort(id)
    }
  }

  /** @throws StorageError NoSuchUpload */
  async get(id: string, key: string): Promise<Upload> {
    const unknown = new StorageError('NoSuchUpload', 'The specified upload does not exist.')
    if (!/^[0-9a-f]{48}$/.test(id)) throw unknown
    const text = await readFile(join(this.#folder(id), 'upload.json'), 'utf8').catch(() => undefined)
    if (text === undefined) throw unknown
    const upload = Upload.parse(JSON.parse(text))
    if (upload.key !== key) throw unknown
    return upload
  }

  /** Keeps a part; the same number again replaces it. */
  async addPart(id: string, number: number, body: ReceivedBody): Promise<Part> {
    const { bytes, md5, checksum } = body
    const part: Part = { number, bytes, md5, checksum, file: basename(body.file), modified: new Date().toISOString() }
    return this.#bucket.locks.run(`upload ${id}`, async () => {
      const before = (await this.parts(id)).find(one => one.number === number)
      await moveDurably(body.file, join(this.#folder(id), part.file)).catch(error => {
        if (error.code === 'ENOENT') throw new StorageError('NoSuchUpload', 'The specified upload does not exist.')
        throw error
      })
      await writeDurably(join(this.#folder(id), `${number}.json`), JSON.stringify(part))
      if (before) await rm(join(this.#folder(id), before.file), { force: true })
      return part
    })
  }

  /** By number. While nobody changes them; see `list`. */
  async parts(id: string): Promise<Part[]> {
    const names = await readdir(this.#folder(id)).catch(() => [])
    const files = names.filter(name => /^\d+\.json$/.test(name))
    const parts = await Promise.all(
      files.map(async name => Part.parse(JSON.parse(await readFile(join(this.#folder(id), name), 'utf8')))),
    )
    return parts.sort((a, b) => a.number - b.number)
  }

  /**
   * The parts as they are between two changes.
   *
   * @throws StorageError NoSuchUpload
   */
  list(id: string, key: string): Promise<Part[]> {
    return this.#bucket.locks.run(`upload ${id}`, async () => {
      await this.get(id, key)
      return this.parts(id)
    })
  }

  async abort(id: string): Promise<void> {
    await this.#bucket.locks.run(`upload ${id}`, () => rm(this.#folder(id), { recursive: true, force: true }))
  }

  /**
   * Makes an object of the named parts without copying them.
   *
   * @throws StorageError NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, BadDigest, PreconditionFailed
   */
  complete(
    id: string,
    upload: Upload,
    named: readonly NamedPart[],
    promised: string | undefined,
    condition: WriteCondition,
  ): Promise<ObjectRecord> {
    return this.#bucket.locks.run(`upload ${id}`, async () => {
      // Whoever waited for another completion finds nothing to complete.
      await this.get(id, upload.key)
      const chosen = choose(await this.parts(id), named)
      this.#bucket.check(upload.key, condition)
      const files = chosen.map(part => join(this.#folder(id), part.file))
      const name = upload.checksum ?? commonChecksum(chosen)
      const checksum =
        name && !upload.fullObject ? compositeOf(name, chosen) : await wholeChecksum(name ?? 'crc32', files)
      if (promised !== undefined && promised !== checksum.value && promised !== checksum.value.replace(/-\d+$/, '')) {
        throw new StorageError('BadDigest', `the ${checksum.name} of the object is ${checksum.value}, not ${promised}`)
      }
      const md5 = createHash('md5')
      for (const part of chosen) md5.update(part.md5, 'hex')
      const record: ObjectRecord = {
        key: upload.key,
        bytes: chosen.reduce((sum, part) => sum + part.bytes, 0),
        etag: `${md5.digest('hex')}-${chosen.length}`,
        modified: new Date().toISOString(),
        checksum,
        headers: upload.headers,
        segments: chosen.map(({ file, bytes }) => ({ file, bytes })),
      }
      await this.#bucket.put(record, files, condition)
      await rm(this.#folder(id), { recursive: true, force: true })
      return record
    })
  }

  #folder(id: string): string {
    return join(this.#bucket.folder, 'uploads', id)
  }
}

async function wholeChecksum(name: ChecksumName, files: readonly string[]): Promise<Checksum> {
  const running = startChecksum(name)
  for (const file of files)
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) running.update(chunk)
  return { name, value: running.digest().toString('base64') }
}

/** The algorithm that all parts share. */
function commonChecksum(parts: readonly Part[]): ChecksumName | undefined {
  const [first] = parts
  return parts.every(part => part.checksum.name === first?.checksum.name) ? first?.checksum.name : undefined
}

function compositeOf(name: ChecksumName, parts: readonly Part[]): Checksum {
  return compositeChecksum(
    name,
    parts.map(part => part.checksum.value),
  )
}

function choose(parts: readonly Part[], named: readonly NamedPart[]): Part[] {
  const byNumber = new Map(parts.map(part => [part.number, part]))
  for (const [at, { number }] of named.entries()) {
    const before = named[at - 1]
    if (before && before.number >= number)
      throw new StorageError('InvalidPartOrder', 'The list of parts was not in ascending order.')
  }
  return named.map((name, at) => {
    const part = byNumber.get(name.number)
    if (!part || part.md5 !== name.etag || (name.checksum !== undefined && name.checksum !== part.checksum.value)) {
      throw new StorageError('InvalidPart', `part ${name.number} was not uploaded, or is another one`)
    }
    if (at < named.length - 1 && part.bytes < minPartBytes) {
      throw new StorageError(
        'EntityTooSmall',
        `part ${name.number} has ${part.bytes} bytes; all but the last have at least ${minPartBytes}`,
      )
    }
    return part
  })
}
