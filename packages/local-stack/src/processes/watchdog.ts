import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Ends the guarded process groups when this process is gone, even by SIGKILL. */
export interface Watchdog extends AsyncDisposable {
  readonly pid: number
  /** From now on the group that `leaderPid` leads gets `signal`, and SIGKILL 8 s later, when this process is gone. */
  guard(leaderPid: number, signal: NodeJS.Signals): void
  /** The group has ended by itself; its number may be given to others. */
  release(leaderPid: number): void
}

/**
 * Starts the helper: a plain `sh` of 1 MB in a session of its own, which holds a pipe from this process and acts at its end.
 * Disposing it ends whatever is still guarded.
 */
export async function startWatchdog(): Promise<Watchdog> {
  const script = fileURLToPath(new URL('./watchdog.sh', import.meta.url))
  const child = spawn('/bin/sh', [script], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
  })
  await once(child, 'spawn')
  return new PipeWatchdog(child)
}

class PipeWatchdog implements Watchdog {
  readonly #child: ChildProcess
  readonly pid: number

  constructor(child: ChildProcess) {
    this.#child = child
    this.pid = child.pid ?? 0
    child.stdin?.on('error', () => undefined)
    child.unref()
  }

  guard(leaderPid: number, signal: NodeJS.Signals): void {
    this.#tell(`guard ${leaderPid} ${signal.replace(/^SIG/, '')}`)
  }

  release(leaderPid: number): void {
    this.#tell(`release ${leaderPid} -`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.ref()
    const ended = once(this.#child, 'exit')
    this.#child.stdin?.end()
    await ended
  }

  #tell(line: string): void {
    if (this.#child.stdin?.writable) this.#child.stdin.write(`${line}\n`)
  }
}
