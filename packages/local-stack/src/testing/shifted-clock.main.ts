/**
 * Loaded before a program (`node --import`), it moves the wall clock of that process and of its threads by what a file says, in
 * milliseconds; a change of the file is a step of the clock. Monotonic time, file times and OpenSSL keep the machine's.
 * `shiftedClock` makes the option.
 */
import { readFileSync } from 'node:fs'

const lookMillis = 100
const file = new URL(import.meta.url).searchParams.get('file') ?? ''

let shift = 0
const look = (): void => {
  try {
    shift = Number(readFileSync(file, 'utf8')) || 0
  } catch {
    // Not written yet: the machine's time.
    shift = 0
  }
}
look()
setInterval(look, lookMillis).unref()

const RealDate = Date
const now = (): number => RealDate.now() + shift
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: [], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date,
  apply: () => new RealDate(now()).toString(),
  get: (target, key, receiver) => (key === 'now' ? now : (Reflect.get(target, key, receiver) as unknown)),
})
