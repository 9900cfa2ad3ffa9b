export interface ProcessExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** In words: `exit code 3` or `signal SIGKILL`. */
export function describeExit(exit: ProcessExit): string {
  return exit.signal ? `signal ${exit.signal}` : `exit code ${exit.code ?? 'unknown'}`
}

/** A child process could not be started, or did not get ready; the message quotes the end of its log. */
export class ProcessStartError extends Error {
  readonly processName: string
  readonly logFile: string

  constructor(processName: string, reason: string, log: { file: string; tail(): string }, options?: ErrorOptions) {
    const tail = log.tail()
    super(
      `${processName} did not start: ${reason}. Its log is ${log.file}${tail ? `; it ends with:\n${tail}` : ' and is empty'}`,
      options,
    )
    this.name = 'ProcessStartError'
    this.processName = processName
    this.logFile = log.file
  }
}
