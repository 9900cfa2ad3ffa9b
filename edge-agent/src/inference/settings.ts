import type { ListenAddress } from './http/listen-address.ts'

/** What the owner says about serving. */
export type InferenceSettings = {
  /** Undefined where nothing is served. */
  readonly address: ListenAddress | undefined
  readonly tokenFile: string | undefined
  readonly maxBodyBytes: number
  readonly maxRequests: number
  readonly maxQueue: number
  /** Rows. */
  readonly maxBatch: number
  readonly maxWaitMillis: number
  readonly deadlineSeconds: number
  readonly idleSeconds: number
  readonly threads: number
}
