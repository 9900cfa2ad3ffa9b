import { type Policy, type Window, weekdays } from './policy.ts'

const minutesADay = 1440

/** Whether a time lies in one of the windows, by the clocks of the zone: where they are turned, as they show. */
export const isWithinHours = ({ timeZone, windows }: NonNullable<Policy['hours']>, now: Date): boolean => {
  const { day, minute } = localTime(now, timeZone)
  return windows.some(window => isWithin(window, day, minute))
}

const isWithin = ({ days, from, to }: Window, day: number, minute: number): boolean => {
  const [start, end] = [minutesOf(from), minutesOf(to)]
  const on = (weekday: number): boolean => days.some(name => name === weekdays[(weekday + 7) % 7])
  if (start < end) return on(day) && minute >= start && minute < end
  return (on(day) && minute >= start) || (on(day - 1) && minute < end)
}

const minutesOf = (time: string): number => {
  const [hours = 0, minutes = 0] = time.split(':').map(Number)
  return hours * 60 + minutes
}

const localTime = (now: Date, timeZone: string | undefined): { day: number; minute: number } => {
  const parts = new Intl.DateTimeFormat('en-GB', {
    ...(timeZone === undefined ? {} : { timeZone }),
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(now)
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.find(found => found.type === type)?.value ?? ''
  const day = (weekdays as readonly string[]).indexOf(part('weekday').toLowerCase())
  return { day, minute: (Number(part('hour')) * 60 + Number(part('minute'))) % minutesADay }
}
