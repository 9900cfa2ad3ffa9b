import { spanOf } from './certificate-times.ts'

/** Requests are signed for a minute. */
export const mostClockMillis = 60_000

/**
 * How far this device's clock is from another one, which tells whole seconds, and in words what to do about it.
 * @param whose e.g. "central"
 */
export const clockDifference = (
  here: Date,
  there: Date,
  whose: string,
): { readonly offMillis: number; readonly message: string } => {
  // On average half a second of the other clock is cut off.
  const ahead = here.getTime() - there.getTime() - 500
  const offMillis = Math.abs(ahead)
  const side = ahead > 0 ? 'ahead of' : 'behind'
  const times = `here ${here.toISOString()}, there ${there.toISOString()}`
  const harm = offMillis < mostClockMillis ? '' : ' Certificates and signed requests fail by that.'
  const message = `The clock of this device is ${spanOf(ahead)} ${side} that of ${whose}: ${times}.${harm} Set it by NTP, e.g. timedatectl set-ntp true.`
  return { offMillis, message }
}
