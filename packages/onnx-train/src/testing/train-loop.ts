import * as ort from 'onnxruntime-node'
import type { CompiledTraining } from '../compile-training.ts'
import type { Tensor } from '../tensor.ts'
import type { LabelledImages } from './mnist.ts'
import { runSession, sessionOptions } from './ort-runner.ts'

export type Weights = readonly Tensor[]

/** A compiled training graph of either form, ready to take steps over images. For tests. */
export class TrainingSession implements AsyncDisposable {
  readonly #compiled: CompiledTraining
  readonly #session: ort.InferenceSession

  private constructor(compiled: CompiledTraining, session: ort.InferenceSession) {
    this.#compiled = compiled
    this.#session = session
  }

  static async open(compiled: CompiledTraining): Promise<TrainingSession> {
    return new TrainingSession(compiled, await ort.InferenceSession.create(compiled.model, sessionOptions))
  }

  /** Loop form: `steps` minibatches of the rows in `order`. Step form: `order` is left out, the images are the batch. */
  async run(
    weights: Weights,
    { images, labels }: LabelledImages,
    learningRate: number,
    order?: { readonly steps: number; readonly rows: Int32Array },
  ): Promise<{ weights: Weights; losses: Float32Array }> {
    const compiled = this.#compiled
    const feeds = new Map<string, Tensor>([
      ...compiled.parameters.map(({ input }, index): [string, Tensor] => [input, weights[index] as Tensor]),
      [compiled.features, { dtype: 'float32', shape: [labels.length, ...compiled.exampleShape], data: images }],
      [compiled.labels, { dtype: 'int32', shape: [labels.length], data: labels }],
      [compiled.learningRate, { dtype: 'float32', shape: [], data: Float32Array.of(learningRate) }],
    ])
    if (order !== undefined && compiled.order !== undefined) {
      const shape = [order.steps, order.rows.length / order.steps]
      feeds.set(compiled.order, { dtype: 'int32', shape, data: order.rows })
    }
    const fetches = [...compiled.parameters.map(({ output }) => output), compiled.losses]
    const results = await runSession(this.#session, feeds, fetches)
    return {
      weights: compiled.parameters.map(({ output }) => results.get(output) as Tensor),
      losses: (results.get(compiled.losses) as Tensor).data as Float32Array,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release()
  }
}
