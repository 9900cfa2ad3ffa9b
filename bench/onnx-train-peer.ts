import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const answerMillis = 60_000

/** PyTorch in a process of its own, that trains when it is told to. */
export class PyTorchPeer implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>
  readonly version: string

  private constructor(child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>, version: string) {
    this.#child = child
    this.#lines = lines
    this.version = version
  }

  /** Undefined where that interpreter, or PyTorch in it, is missing. */
  static async start(python: string): Promise<PyTorchPeer | undefined> {
    const oneThread = { OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }
    const child = spawn(python, [join(import.meta.dirname, 'onnx-train-peer.py')], {
      env: { ...process.env, ...oneThread },
    })
    child.stderr.resume()
    child.stdin.on('error', () => {})
    const failed = once(child, 'error').then(() => undefined)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const first = await Promise.race([lines.next(), failed])
    return first === undefined || first.done === true ? undefined : new PyTorchPeer(child, lines, first.value)
  }

  /** Samples a second of training a model that long. */
  async measure(model: string, batchSize: number, seconds: number): Promise<number> {
    this.#child.stdin.write(`${model} ${batchSize} ${seconds}\n`)
    const deadline = setTimeout(() => this.#child.kill(), answerMillis)
    const answer = await this.#lines.next()
    clearTimeout(deadline)
    if (answer.done === true) throw new Error('PyTorch stopped; run the peer alone to see why')
    return Number(answer.value)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#child, 'close')
    this.#child.stdin.end()
    await closed
  }
}
