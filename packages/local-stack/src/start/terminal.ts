import type { RoundView } from '@tributary/contracts/tasks'

/** What `npm start` tells a person: services with the time each took, then a line a round. */
export type Terminal = {
  readonly line: (text: string) => void
  /** What went wrong on the way goes to standard error: with `--json`, the last line of standard output stays the object. */
  readonly trouble: (text: string) => void
  readonly started: (what: string, seconds: number, detail: string) => void
  readonly roundHeader: () => void
  readonly round: (round: RoundView) => void
}

const nameWidth = 24

/** Text of a number, or a gap where there is none. */
const fixed = (value: number | null, digits: number): string => (value === null ? '–' : value.toFixed(digits))

const columns = (cells: readonly (readonly [string, number])[]): string =>
  cells.map(([text, width]) => text.padStart(width)).join('  ')

export const createTerminal = (write: (text: string) => void, writeError: (text: string) => void): Terminal => {
  const line = (text: string): void => write(`${text}\n`)
  return {
    line,
    trouble: text => writeError(`${text}\n`),
    started: (what, seconds, detail) =>
      line(`  ${what.padEnd(nameWidth)} ${seconds.toFixed(1).padStart(5)} s   ${detail}`),
    roundHeader: () =>
      line(
        `  ${columns([
          ['round', 5],
          ['devices', 8],
          ['examples', 9],
          ['train loss', 10],
          ['test loss', 9],
          ['accuracy', 8],
          ['seconds', 7],
        ])}`,
      ),
    round: round => {
      if (round.state === 'abandoned') {
        line(
          `  ${columns([[String(round.round), 5]])}  attempt ${round.attempt} abandoned: ${round.reason ?? 'no reason given'}`,
        )
        return
      }
      line(
        `  ${columns([
          [String(round.round), 5],
          [`${round.accepted}/${round.selected}`, 8],
          [round.weight === null ? '–' : String(round.weight), 9],
          [fixed(round.trainingLoss, 4), 10],
          [fixed(round.loss, 4), 9],
          [fixed(round.accuracy, 4), 8],
          [fixed(round.seconds, 1), 7],
        ])}`,
      )
    },
  }
}
