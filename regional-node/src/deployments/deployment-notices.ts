import type { DeviceNotice } from '@tributary/contracts/topics'
import type { DeviceDirectory, KnownDevice } from '../devices/device-directory.ts'
import type { Presence } from '../devices/presence.ts'

/** Tells the devices that are online, and that a release concerns, to check in now instead of at their next poll. */
export const deploymentNotices =
  ({
    presence,
    directory,
    notify,
  }: {
    readonly presence: Presence
    readonly directory: DeviceDirectory
    readonly notify: (devices: readonly string[], notice: DeviceNotice) => void
  }) =>
  (concerns: (device: KnownDevice) => boolean): void => {
    const devices: string[] = []
    for (const { device, online } of presence.states()) {
      const known = online ? directory.get(device) : undefined
      if (known !== undefined && !known.revoked && concerns(known)) devices.push(device)
    }
    if (devices.length > 0) notify(devices, { kind: 'work' })
  }
