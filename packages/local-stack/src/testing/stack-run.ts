import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Summary } from '../start/summary.ts'

const repository = join(import.meta.dirname, '..', '..', '..', '..')

/** `npm start` as a person would run it, with its output at hand. */
export type StackRun = AsyncDisposable & {
  readonly npm: ChildProcess
  readonly output: () => string
  /** Resolves when a line of the output matches; rejects when the process ends first, or after the deadline. */
  readonly untilLine: (pattern: RegExp, seconds: number) => Promise<RegExpMatchArray>
  /** Exit code of npm and of what it ran. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** The last line of standard output, parsed. */
  readonly summary: () => Summary
}

export type StackRunOptions = {
  readonly stateDir: string
  readonly portBase: number
  readonly clone?: string
  readonly env?: Readonly<Record<string, string>>
}

export const startStack = (args: readonly string[], options: StackRunOptions): StackRun => {
  const npm = spawn('npm', ['start', '--silent', '--', '--port-base', String(options.portBase), ...args], {
    cwd: options.clone ?? repository,
    env: { ...process.env, TRIBUTARY_STATE_DIR: options.stateDir, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let everything = ''
  const listeners = new Set<() => void>()
  npm.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    everything += text
    for (const listener of listeners) listener()
  })
  npm.stderr.setEncoding('utf8').on('data', (text: string) => {
    everything += text
    for (const listener of listeners) listener()
  })
  const ended = once(npm, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }))
  return {
    npm,
    ended,
    output: () => everything,
    summary: () => JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Summary,
    untilLine: async (pattern, seconds) => {
      const { promise, resolve, reject } = Promise.withResolvers<RegExpMatchArray>()
      const check = (): void => {
        const match = everything.match(pattern)
        if (match !== null) resolve(match)
      }
      const fail = (why: string): void => reject(new Error(`${why} before ${pattern}; its output:\n${everything}`))
      const timer = setTimeout(() => fail(`${seconds} s passed`), seconds * 1000)
      listeners.add(check)
      void ended.then(({ code }) => fail(`npm start ended with ${code}`))
      check()
      try {
        return await promise
      } finally {
        clearTimeout(timer)
        listeners.delete(check)
      }
    },
    [Symbol.asyncDispose]: async () => {
      if (npm.exitCode === null && npm.signalCode === null) npm.kill('SIGTERM')
      await ended
    },
  }
}
