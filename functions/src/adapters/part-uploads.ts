import type { Upload } from '@tributary/contracts/models'

/** A part that the store has. */
export type StoredPart = {
  readonly part: number
  readonly bytes: number
  /** Hex; null where it was sent without one. */
  readonly sha256: string | null
  /** The store's own mark of this content, which `complete` names. */
  readonly tag: string
}

/** Uploads of one object in parts, which whoever has a part's address sends. Nothing is visible until `complete`. */
export type PartUploads = {
  /** @returns the id of the upload */
  begin(key: string, signal?: AbortSignal): Promise<string>
  /** An address that takes exactly these bytes: size and sha256 are part of the signature. */
  presign(
    target: { readonly key: string; readonly upload: string; readonly part: number },
    file: { readonly sha256: string; readonly bytes: number },
    seconds: number,
  ): Promise<Upload>
  /** Sends a part; the same number again replaces it. @returns null where there is no such upload (any more) */
  send(
    target: { readonly key: string; readonly upload: string; readonly part: number },
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<StoredPart | null>
  /** By number; null where the upload was completed or aborted, or never was. */
  list(key: string, upload: string, signal?: AbortSignal): Promise<StoredPart[] | null>
  /** Makes an object of these parts. @returns false where there is no such upload (any more) */
  complete(key: string, upload: string, parts: readonly StoredPart[], signal?: AbortSignal): Promise<boolean>
  /** An upload that is not there is aborted already. */
  abort(key: string, upload: string, signal?: AbortSignal): Promise<void>
}
