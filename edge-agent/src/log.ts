import { type Logger, multistream, pino } from 'pino'
import { RotatingFile } from './state/rotating-file.ts'

export type LogSettings = {
  readonly level: string
  /** Where the log goes beside standard output. */
  readonly file: string | undefined
  readonly fileBytes: number
  readonly files: number
}

/** The agent's log: JSON lines on standard output, where journald or the container's runtime takes them, and in a file if wanted. */
export const createLog = ({ level, file, fileBytes, files }: LogSettings, device: string): Logger => {
  const options = { level, base: { device } }
  if (file === undefined) return pino(options)
  const rotating = new RotatingFile(file, { maxBytes: fileBytes, files })
  // A first line now: a file that cannot be written is said at the start.
  rotating.write('')
  const quiet = {
    write: (line: string): void => {
      try {
        rotating.write(line)
      } catch {
        // A full disk must not stop the agent; standard output has the line.
      }
    },
  }
  return pino(
    options,
    multistream([
      { level: 'trace', stream: process.stdout },
      { level: 'trace', stream: quiet },
    ]),
  )
}
