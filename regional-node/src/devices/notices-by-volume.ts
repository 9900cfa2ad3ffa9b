import type { NoticeChannel } from './notice-channel.ts'

export type NoticeWays = {
  /** The node's own MQTT session: the shortest way, for few. */
  readonly few: NoticeChannel
  /** The broker's HTTP interface: for many. */
  readonly many: NoticeChannel
}

/**
 * Sends each set of notices the way that can carry it: by the node's MQTT session as long as it publishes no more than
 * `mostPerSecond` (AWS IoT throttles a connection at 100 a second), all others by the other way.
 * https://docs.aws.amazon.com/general/latest/gr/iot-core.html
 */
export const noticesByVolume = (
  { few, many }: NoticeWays,
  mostPerSecond: number,
  monotonic: () => number,
): NoticeChannel => {
  /** Sets that went by the session within the last second, oldest first; none is empty, so there are at most as many. */
  let recent: { readonly at: number; readonly count: number }[] = []
  return {
    notify: (devices, notice) => {
      const count = devices.length
      if (count === 0) return
      const at = monotonic()
      recent = recent.filter(set => at - set.at < 1000)
      const published = recent.reduce((sum, set) => sum + set.count, 0)
      if (published + count > mostPerSecond) return many.notify(devices, notice)
      recent.push({ at, count })
      few.notify(devices, notice)
    },
  }
}
