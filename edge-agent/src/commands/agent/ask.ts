import { createInterface } from 'node:readline/promises'

/** Asks at the terminal; rejects when the signal aborts. */
export const terminalQuestion =
  (signal: AbortSignal) =>
  async (question: string): Promise<string> => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    try {
      return await terminal.question(question, { signal })
    } finally {
      terminal.close()
    }
  }
