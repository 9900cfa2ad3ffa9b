import * as ort from 'onnxruntime-node'
import { arrayOf, bytesOf, datatypeOf, runtimeTypeOf, viewOf } from '../datatype.ts'
import { countOf, type InferenceTensor, type TensorPort } from '../tensor.ts'
import { ModelFailure } from './model-failure.ts'
import type { ModelDescription } from './protocol.ts'

const optionsFor = (threads: number): ort.InferenceSession.SessionOptions => ({
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  // Spinning between requests would burn a core of a device that mostly waits.
  extra: { session: { set_denormal_as_zero: '1', intra_op: { allow_spinning: '0' } } },
  enableMemPattern: false,
  logSeverityLevel: 4,
})

/** A loaded model that takes and gives the bytes of tensors. */
export class ModelSession implements AsyncDisposable {
  readonly inputs: readonly TensorPort[]
  readonly outputs: readonly TensorPort[]
  readonly #session: ort.InferenceSession

  private constructor(session: ort.InferenceSession) {
    this.#session = session
    this.inputs = session.inputMetadata.map(portOf)
    this.outputs = session.outputMetadata.map(portOf)
  }

  /** Throws ModelFailure MODEL_UNSUPPORTED. */
  static async open(model: Uint8Array, threads: number): Promise<ModelSession> {
    try {
      return new ModelSession(await ort.InferenceSession.create(model, optionsFor(threads)))
    } catch (cause) {
      if (cause instanceof ModelFailure) throw cause
      throw new ModelFailure('MODEL_UNSUPPORTED', `The runtime does not load the model: ${messageOf(cause)}`, { cause })
    }
  }

  /** The ports as they are told: whether requests may be joined is found by trial. */
  describe(joinsFrom: ModelDescription['joinsFrom']): ModelDescription {
    return { inputs: this.inputs, outputs: this.outputs, joinsFrom }
  }

  /**
   * Runs inputs of the model's names, datatypes and ranks, and blocks this thread meanwhile.
   * @param outputs names of those that are wanted
   * @throws ModelFailure RUN_FAILED where the runtime refuses the inputs
   */
  async run(inputs: readonly InferenceTensor[], outputs: readonly string[]): Promise<InferenceTensor[]> {
    const feeds = inputs.map(({ name, datatype, shape, bytes }): [string, ort.Tensor] => [
      name,
      new ort.Tensor(runtimeTypeOf(datatype), viewOf(datatype, bytes) as never, shape),
    ])
    try {
      const results = await this.#session.run(Object.fromEntries(feeds), [...outputs])
      return outputs.map(name => tensorOf(name, results[name]))
    } catch (cause) {
      throw new ModelFailure('RUN_FAILED', `The runtime failed: ${messageOf(cause)}`, { cause })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release()
  }
}

const portOf = (metadata: ort.InferenceSession.ValueMetadata): TensorPort => {
  const { name } = metadata
  const datatype = metadata.isTensor ? datatypeOf(metadata.type) : undefined
  if (!metadata.isTensor || datatype === undefined) {
    const is = metadata.isTensor ? `a tensor of ${metadata.type}` : 'no tensor'
    throw new ModelFailure(
      'MODEL_UNSUPPORTED',
      `"${name.slice(0, 80)}" is ${is}. Served are float16 to float64, int8 to int64, uint8 and bool.`,
    )
  }
  return { name, datatype, shape: metadata.shape.map(size => (typeof size === 'number' ? size : -1)) }
}

const tensorOf = (name: string, tensor: ort.OnnxValue | undefined): InferenceTensor => {
  const datatype = tensor === undefined ? undefined : datatypeOf(tensor.type)
  if (tensor === undefined || datatype === undefined) throw new Error(`output "${name.slice(0, 80)}" did not come`)
  return { name, datatype, shape: tensor.dims, bytes: bytesOf(tensor.data as ArrayBufferView) }
}

/** What the runtime says, without what it says of its own source files. */
const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/^\S+\.(cc|h):\d+ /, '').slice(0, 1000)

/** A tensor of this port and shape, filled by the position of each element. */
export const filled = (
  { name, datatype }: TensorPort,
  shape: readonly number[],
  at: (index: number) => number,
  toElement: (value: number) => number | bigint,
): InferenceTensor => {
  const array = arrayOf(datatype, countOf(shape) ?? 0)
  for (let index = 0; index < array.length; index++) array[index] = toElement(at(index)) as never
  return { name, datatype, shape, bytes: bytesOf(array) }
}
