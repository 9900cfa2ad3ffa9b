import { spawn } from 'node:child_process'
import { groupEnded, signalGroup } from './process-group.ts'
import type { Watchdog } from './watchdog.ts'

export interface CommandOptions {
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  readonly input?: string
  readonly deadlineSeconds: number
  readonly signal?: AbortSignal
  readonly watchdog?: Watchdog
  readonly onOutput?: (text: string) => void
}

const maxOutputBytes = 4 * 1024 * 1024

/** A command ended with another code than 0, or had to be ended. */
export class CommandError extends Error {
  readonly output: string

  constructor(command: string, reason: string, output: string, options?: ErrorOptions) {
    super(`${command}: ${reason}${output ? `\n${output.trimEnd().split('\n').slice(-15).join('\n')}` : ''}`, options)
    this.name = 'CommandError'
    this.output = output
  }
}

/**
 * Runs a short command to its end in a process group of its own and resolves with what it wrote to stdout (the first 4 MiB).
 *
 * @throws CommandError with the last lines of its output.
 */
export function runCommand(command: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const { env, cwd, uid, gid, watchdog } = options
  const child = spawn(command, args, {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
  const pid = child.pid
  if (pid !== undefined) watchdog?.guard(pid, 'SIGTERM')
  let stdout = ''
  let stderr = ''
  let failure: string | undefined
  const end = (reason: string) => {
    failure = reason
    if (pid !== undefined) signalGroup(pid, 'SIGKILL')
  }
  const timer = setTimeout(() => end(`not done after ${options.deadlineSeconds} s`), options.deadlineSeconds * 1000)
  const interrupted = () => end('interrupted')
  options.signal?.addEventListener('abort', interrupted, { once: true })
  if (options.signal?.aborted) interrupted()
  child.stdout.on('data', (chunk: Buffer) => {
    const text = chunk.toString('utf8')
    if (stdout.length < maxOutputBytes) stdout += text
    options.onOutput?.(text)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-maxOutputBytes)
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  child.once('error', error => {
    failure = error.message
    void settle(null)
  })
  child.once('close', code => void settle(code))
  const settle = async (code: number | null) => {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', interrupted)
    if (pid !== undefined) {
      if (failure !== undefined) await groupEnded(pid, 2000)
      watchdog?.release(pid)
    }
    if (code === 0 && failure === undefined) resolve(stdout)
    else reject(new CommandError(command, failure ?? `exit code ${code}`, stderr || stdout))
  }
  return promise
}
