import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'

/** A process that a test watches. */
export type Launched = AsyncDisposable & {
  readonly child: ChildProcess
  /** Exit code and signal. */
  readonly ended: Promise<unknown[]>
  /** What it said on standard output so far, a line each. */
  readonly lines: readonly string[]
  /** Resolves with the first line that matches, from the given one on. Rejects after a minute. */
  readonly untilLine: (pattern: RegExp, from?: number) => Promise<string>
}

/** Starts a program for Node; it is killed when disposed. */
export const launch = (line: readonly string[], env: Readonly<Record<string, string>>): Launched => {
  const child = spawn(process.execPath, [...line], { env, stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  const lines: string[] = []
  const events = new EventEmitter()
  createInterface({ input: child.stdout }).on('line', text => {
    lines.push(text)
    events.emit('line')
  })
  return {
    child,
    ended,
    lines,
    untilLine: async (pattern, from = 0) => {
      const signal = AbortSignal.timeout(60_000)
      for (let next = from; ; next += 1) {
        while (next >= lines.length) {
          await once(events, 'line', { signal }).catch(() => {
            throw new Error(`it does not say ${pattern}, but:\n${lines.slice(from).join('\n').slice(-5000)}`)
          })
        }
        const text = lines[next] as string
        if (pattern.test(text)) return text
      }
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
