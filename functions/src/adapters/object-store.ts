import type { Upload } from '@tributary/contracts/models'
import type { PartUploads } from './part-uploads.ts'

export type ObjectHead = {
  readonly bytes: number
  /** Hex sha256 of the whole object where the store knows it. */
  readonly sha256: string | null
}

/** Inclusive start, exclusive end, in bytes. */
export type ByteRange = { readonly start: number; readonly end: number }

/** What was written by an `ObjectWriter`. */
export type WrittenObject = { readonly sha256: string; readonly bytes: number }

/**
 * Writes one object of unknown size front to back, hashing as it goes. Nothing is visible until `finish`; disposing an
 * unfinished writer throws away what was sent.
 */
export type ObjectWriter = AsyncDisposable & {
  /** Takes the bytes (copied where they must be kept) and waits while too much is in flight. */
  write(bytes: Uint8Array): Promise<void>
  finish(): Promise<WrittenObject>
}

/** Objects by key. Keys are written once and never changed. */
export type ObjectStore = {
  /** Null when there is no such object. */
  head(key: string, signal?: AbortSignal): Promise<ObjectHead | null>
  /** Streams an object or a range of it. @throws TributaryError NOT_FOUND */
  read(key: string, options?: { range?: ByteRange; signal?: AbortSignal }): Promise<AsyncIterable<Uint8Array>>
  /**
   * Exactly the bytes of a range.
   * @param into where they are put, as long as the range; absent: memory of their own
   * @throws TributaryError NOT_FOUND, or UNAVAILABLE when the object ends early
   */
  readRange(
    key: string,
    range: ByteRange,
    signal?: AbortSignal,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>>
  /** A whole object that must not exceed `maxBytes`. @throws TributaryError NOT_FOUND, BODY_TOO_LARGE */
  readAll(key: string, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>
  put(key: string, bytes: Uint8Array, options?: { contentType?: string; signal?: AbortSignal }): Promise<WrittenObject>
  /** Small objects go out in one request at `finish`, larger ones by multipart. */
  openWriter(key: string, options?: { contentType?: string; signal?: AbortSignal }): ObjectWriter
  delete(key: string, signal?: AbortSignal): Promise<void>
  /** Keys that begin with the prefix, in their order, the first `most` of them. */
  list(prefix: string, most: number, signal?: AbortSignal): Promise<string[]>
  readonly partUploads: PartUploads
  /** An upload that takes exactly these bytes: size and sha256 are part of the signature. */
  presignPut(key: string, file: { sha256: string; bytes: number }, seconds: number): Promise<Upload>
  presignGet(key: string, options: { filename: string; seconds: number }): Promise<{ url: string; expiresAt: string }>
  /** @throws when the store does not answer */
  ready(signal: AbortSignal): Promise<void>
}
