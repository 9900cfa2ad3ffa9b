import type { Output } from '../output.ts'

/** What a command finds around it. */
export type Surroundings = {
  /** Where it was called; relative paths start here. */
  readonly folder: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly output: Output
  readonly signal: AbortSignal
  /** Asks whoever sits at the terminal; absent where nobody does. */
  readonly ask?: (question: string) => Promise<string>
}

/** A command of `tributary-agent`. */
export type AgentCommand = {
  /** Its line in the help. */
  readonly summary: string
  /**
   * Loads and runs it, so that no command pays for another's imports. Resolves with the exit code: 0 done, 1 not possible; throws
   * UsageError for a wrong call and CommandError for what a person should read as it is.
   */
  readonly run: (line: readonly string[], surroundings: Surroundings) => Promise<number>
}

/** Something that the person who called can mend; the message says what and how, in one line. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}
