import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export type ChildLinkOptions<Report> = {
  /** Told of every message of the child. */
  readonly onReport: (report: Report) => void
  /** Told once, when the process has ended or could not be started, with what is known of the reason. */
  readonly onEnd: (reason: Error) => void
  /** How long an asked child may take to end before it is killed. @default 5000 */
  readonly endMillis?: number
  /** Arguments of Node itself. @default none: those of this process are not handed down */
  readonly nodeArguments?: readonly string[]
}

/**
 * A process of this agent's own code, as its owner sees it. What it does to itself (a crash in native code, memory that is
 * never given back) ends with it. Messages are structured clones over a pipe: typed arrays cross as their bytes.
 * The child ends when its channel closes, so none stays behind when this process dies.
 */
export class ChildLink<Request, Report> implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #endMillis: number
  #open = true
  #exited = false

  /** @param url the file that the child runs: a source, or a bundle */
  constructor(url: URL, options: ChildLinkOptions<Report>) {
    this.#endMillis = options.endMillis ?? 5000
    this.#child = fork(fileURLToPath(url), [], {
      serialization: 'advanced',
      execArgv: [...(options.nodeArguments ?? [])],
      // Standard output is the parent's, for its log; nothing is read from the parent but messages.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const ended = (reason: Error): void => {
      if (this.#exited) return
      this.#exited = true
      this.#open = false
      options.onEnd(reason)
    }
    this.#child.on('message', message => options.onReport(message as Report))
    this.#child.once('error', ended)
    this.#child.once('exit', (code, signal) => {
      ended(new Error(signal === null ? `exit code ${code}` : `ended by ${signal}`))
    })
  }

  /** Whether the process takes messages. */
  get open(): boolean {
    return this.#open && this.#child.connected
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Sends a message; one that cannot be sent any more is dropped, since the end of the process is told by `onEnd`. */
  post(request: Request): void {
    if (this.open) this.#child.send(request as object, () => {})
  }

  /** Whether this process stays alive for the child's sake. */
  hold(hold: boolean): void {
    const { channel } = this.#child
    if (hold) {
      this.#child.ref()
      channel?.ref?.()
    } else {
      this.#child.unref()
      channel?.unref?.()
    }
  }

  /** Ends the process at once, whatever it does. */
  kill(): void {
    this.#open = false
    this.#child.kill('SIGKILL')
  }

  /** Asks the process to end by closing its channel, waits, and kills it where it does not. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false
    if (this.#exited) return
    this.hold(true)
    const exit = once(this.#child, 'exit')
    if (this.#child.connected) this.#child.disconnect()
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), this.#endMillis)
    try {
      await exit
    } finally {
      clearTimeout(deadline)
    }
  }
}
