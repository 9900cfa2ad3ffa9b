import type { SumTotals } from '@tributary/learning/exact-sum/shard-sum'
import type { InvalidUpdateCode } from '@tributary/learning/update/invalid-update-error'

/** How a file is sealed: AES-256-CTR. */
export type Seal = {
  /** 32 bytes. */
  readonly key: Uint8Array
  /** Counter block of the file's first byte: 16 bytes, big-endian. */
  readonly iv: Uint8Array
}

/** Where the body of an update lies: a range of a file. */
export type SpooledBody = {
  readonly path: string
  readonly offset: number
  readonly bytes: number
  /** Of the file, not of the range; left out for a plain file. */
  readonly seal?: Seal
}

export type WeightedBody = { readonly body: SpooledBody; readonly weight: number }

/** A shard-sum file and what it counts. */
export type SumFile = {
  readonly path: string
  readonly totals: SumTotals
  readonly seal?: Seal
  /** Of the file before it was sealed: checked wherever it is read. */
  readonly sha256?: string
}

/** A file as it is before it is sealed. */
export type StoredFile = { readonly sha256: string; readonly bytes: number }

/** Whether a body may be accepted, and why not. */
export type UpdateVerdict =
  /** L2 norm of the deltas, buffers apart. */
  | { readonly ok: true; readonly norm: number }
  | {
      readonly ok: false
      readonly code: 'LENGTH_MISMATCH' | 'CHECKSUM_MISMATCH' | InvalidUpdateCode
      readonly tensor: string | null
      readonly detail: string
    }
