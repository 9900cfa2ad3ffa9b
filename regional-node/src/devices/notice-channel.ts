import type { DeviceNotice } from '@tributary/contracts/topics'

/**
 * A way to devices. Never waits, never fails: a notice is a hint to check in now, and whoever misses it learns the same at
 * the next check-in.
 */
export type NoticeChannel = {
  readonly notify: (devices: readonly string[], notice: DeviceNotice) => void
}
