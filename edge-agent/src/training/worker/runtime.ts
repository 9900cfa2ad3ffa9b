import type { Runner } from '@tributary/onnx-train/runner'
import type { DType, Tensor, TensorData } from '@tributary/onnx-train/tensor'
import * as ort from 'onnxruntime-node'

/**
 * One thread per session: results do not depend on the number of cores, and small models are fastest so. Denormals are
 * flushed to zero; the runtime applies that to the thread that makes the first session of the process, and only then.
 */
const options: ort.InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  // A pattern is one block for everything that ever lives at once: no faster here, and 20 MB more for a CNN.
  enableMemPattern: false,
  // What goes wrong is thrown; the runtime need not print it too.
  logSeverityLevel: 4,
  extra: { session: { set_denormal_as_zero: '1' } },
}

const shrinking: ort.InferenceSession.RunOptions = { extra: { memory: { enable_memory_arena_shrinkage: 'cpu:0' } } }

/** A loaded model. The owner disposes of it, which frees the runtime's memory. */
export class Session implements AsyncDisposable {
  readonly #session: ort.InferenceSession

  private constructor(session: ort.InferenceSession) {
    this.#session = session
  }

  static async open(model: Uint8Array): Promise<Session> {
    return new Session(await ort.InferenceSession.create(model, options))
  }

  /**
   * Runs the model; feeds are read in place. Blocks this thread while it runs.
   * @param last whether the session will rest: it then gives back what it keeps for activations, to grow it again later
   */
  async run(
    feeds: ReadonlyMap<string, Tensor>,
    fetches: readonly string[],
    last = false,
  ): Promise<ReadonlyMap<string, Tensor>> {
    const inputs = [...feeds].map(([name, { dtype, data, shape }]) => [name, new ort.Tensor(dtype, data, shape)])
    const results = await this.#session.run(Object.fromEntries(inputs), [...fetches], last ? shrinking : {})
    return new Map(
      Object.entries(results).map(([name, { type, dims, data }]): [string, Tensor] => [
        name,
        { dtype: type as DType, shape: dims, data: data as TensorData },
      ]),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release()
  }
}

/**
 * Gives memory of tensors back at once. Every run brings new ones, and the collector, which sees only small objects,
 * would let those of many runs pile up.
 */
export const release = (tensors: Iterable<Tensor>): void => {
  for (const {
    data: { buffer },
  } of tensors)
    if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0)
}

/** Runs a model once, for the compiler. */
export const runOnce: Runner = async (model, feeds, fetches) => {
  await using session = await Session.open(model)
  return await session.run(feeds, fetches)
}

/** Whether this thread's arithmetic flushes denormals to zero; JavaScript shares the setting with the runtime. */
export const flushesToZero = (): boolean => {
  const smallest = Float64Array.of(2.3e-308)
  smallest[0] = (smallest[0] ?? 0) / 4
  return smallest[0] === 0
}
