import { clockDifference, mostClockMillis } from '../../../transport/clock-difference.ts'
import { failed, type Outcome, ok, warning } from './finding.ts'

const fineMillis = 10_000

/** This device's clock against that of another, which tells whole seconds. */
export const checkClock = (here: Date, there: Date, whose: string): Outcome => {
  const { offMillis, message } = clockDifference(here, there, whose)
  if (offMillis < fineMillis) return ok(`within ${Math.ceil((offMillis + 500) / 1000)} s of ${whose}`)
  return offMillis < mostClockMillis ? warning('owner', message) : failed('owner', message)
}
