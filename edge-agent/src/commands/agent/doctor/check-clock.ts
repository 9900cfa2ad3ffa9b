import { spanOf } from '../../../transport/certificate-times.ts'
import { failed, type Outcome, ok, warning } from './finding.ts'

/** Requests are signed for a minute; beyond half of it the next drift breaks them. */
const mostMillis = 60_000
const fineMillis = 10_000

/** This device's clock against that of another, which tells whole seconds. */
export const checkClock = (here: Date, there: Date, whose: string): Outcome => {
  // On average half a second of the other clock is cut off.
  const ahead = here.getTime() - there.getTime() - 500
  const off = Math.abs(ahead)
  const side = ahead > 0 ? 'ahead of' : 'behind'
  const message = `The clock of this device is ${spanOf(ahead)} ${side} that of ${whose}: here ${here.toISOString()}, there ${there.toISOString()}.`
  if (off < fineMillis) return ok(`within ${Math.ceil((off + 500) / 1000)} s of ${whose}`)
  const advice = 'Set it by NTP, e.g. timedatectl set-ntp true.'
  return off < mostMillis
    ? warning('owner', `${message} ${advice}`)
    : failed('owner', `${message} Certificates and signed requests fail by that. ${advice}`)
}
