import type { DeviceTls } from './grpc-connection.ts'

/** A device of a fleet. */
export type SimulatedDevice = { readonly id: string; readonly tls: DeviceTls }

/** What the parent asks of a process of devices. */
export type Order =
  | { readonly kind: 'enrol'; readonly port: number; readonly devices: readonly SimulatedDevice[] }
  /** Opens the connections of the first so many devices. */
  | { readonly kind: 'connect'; readonly count: number; readonly atOnce: number }
  | { readonly kind: 'disconnect' }
  | { readonly kind: 'checkIn'; readonly count: number; readonly atOnce: number; readonly wantsWork: boolean }
  /**
   * Each of the first so many devices sends one update.
   * @param bare true: to a server that only counts bytes, without a check-in before
   */
  | {
      readonly kind: 'push'
      readonly count: number
      readonly atOnce: number
      readonly values: number
      readonly isBare: boolean
      /** Each device opens its connection for this, checks in, sends, and leaves. */
      readonly isVisit: boolean
    }

/** `seconds` on the child's clock; `cpuSeconds` of the child; `times`: of each call, ms. */
export type Done = {
  readonly done: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly times: readonly number[]
  readonly refused: number
}
export type Answer = { readonly ok: Done } | { readonly failed: string }
