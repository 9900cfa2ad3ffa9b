import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A regional node as its own process. */
export class NodeProcess {
  readonly #child: ChildProcess
  readonly output: string[] = []
  readonly grpcPort: number
  readonly httpPort: number

  private constructor(child: ChildProcess, output: string[], ports: { grpcPort: number; httpPort: number }) {
    this.#child = child
    this.output = output
    this.grpcPort = ports.grpcPort
    this.httpPort = ports.httpPort
  }

  /** Starts it and waits, 20 s at most, until it is up. */
  static async start(environment: Record<string, string>): Promise<NodeProcess> {
    const main = fileURLToPath(new URL('../main.ts', import.meta.url))
    const child = spawn(process.execPath, [main], { env: environment, stdio: ['pipe', 'pipe', 'pipe'] })
    const output: string[] = []
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', line => output.push(line))
    const up = new Promise<{ grpcPort: number; httpPort: number }>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the node is not up:\n${output.join('\n')}`)), 20_000)
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', line => {
        output.push(line)
        if (!line.includes('"the node is up"')) return
        clearTimeout(timer)
        resolve(JSON.parse(line))
      })
      child.once('exit', code => reject(new Error(`the node ended with ${code}:\n${output.join('\n')}`)))
    })
    try {
      return new NodeProcess(child, output, await up)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  /** Ends it, by a signal or by closing its standard input, and returns its exit code. */
  async end(how: 'SIGTERM' | 'SIGKILL' | 'stdin'): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    const exited = once(this.#child, 'exit')
    if (how === 'stdin') this.#child.stdin?.end()
    else this.#child.kill(how)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 30_000)
    const [code, signal] = await exited
    clearTimeout(timer)
    if (how !== 'SIGKILL' && signal !== null) throw new Error(`the node did not end:\n${this.output.join('\n')}`)
    return code as number | null
  }

  /** Waits, 20 s at most, until it ended by itself. */
  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit', { signal: AbortSignal.timeout(20_000) })
    return this.#child.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL')
  }
}
