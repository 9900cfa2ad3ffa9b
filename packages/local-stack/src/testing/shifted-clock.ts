import { rename, writeFile } from 'node:fs/promises'

/** The wall clock of processes that a test starts: as wrong as the test says. */
export type ShiftedClock = {
  /** Options of Node that give a process this clock. */
  readonly args: readonly string[]
  /** Steps the clock so far from the machine's; running processes see it within some tenths of a second. */
  readonly shift: (millis: number) => Promise<void>
}

/** @param file that holds the shift; missing, the clock is right */
export const shiftedClock = (file: string): ShiftedClock => {
  const preload = new URL('./shifted-clock.main.ts', import.meta.url)
  preload.searchParams.set('file', file)
  return {
    args: ['--import', preload.href],
    shift: async millis => {
      // Whole or not at all: a process may look at any moment.
      await writeFile(`${file}.draft`, String(millis))
      await rename(`${file}.draft`, file)
    },
  }
}
