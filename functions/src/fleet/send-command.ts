import { TributaryError } from '@tributary/contracts/errors'
import { type DeviceCommand, deviceTopics } from '@tributary/contracts/topics'
import type { DeviceLine } from '../adapters/device-line.ts'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { selectDevice } from './device-view.ts'

/**
 * Publishes a command to a device that is online. It is sent before the commit, since a command that comes twice does no harm and
 * one that is recorded but was never sent would be a lie; the audit entry stands only where the publication was confirmed.
 * @throws TributaryError NOT_FOUND, CERTIFICATE_REVOKED, DEVICE_OFFLINE, UNAVAILABLE
 */
export const sendDeviceCommand =
  ({
    audit,
    clock,
    line,
  }: Pick<Context, 'audit' | 'clock'> & { readonly line: DeviceLine }): Handler<'sendDeviceCommand'> =>
  async ({ params: { device }, body: { kind }, actor }, sql) => {
    const row = await selectDevice(sql, device)
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    if (row.revoked) throw new TributaryError('CERTIFICATE_REVOKED', { detail: 'The device was revoked.' })
    if (row.online !== true) throw new TributaryError('DEVICE_OFFLINE')
    const command: DeviceCommand = { kind }
    await line.publish(deviceTopics.down(device, 'command'), JSON.stringify(command))
    audit.append(sql, { actor, action: 'device.command-sent', subject: `device/${device}`, detail: { kind } })
    return { device, kind, sentAt: clock.now().toISOString() }
  }
