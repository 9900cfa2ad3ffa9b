import { fromBinary } from '@bufbuild/protobuf'
import * as ort from 'onnxruntime-node'
import type { CompiledTraining } from '../compile-training.ts'
import { type ModelProto, ModelProtoSchema } from '../gen/onnx_pb.ts'
import { splitmix32 } from '../models/random.ts'
import { elementCount, type Tensor, zeros } from '../tensor.ts'
import { startValues } from './gradients.ts'
import { runSession, sessionOptions } from './ort-runner.ts'

type Run = { readonly batchSize: number; readonly stepsPerRun: number; readonly vocabulary: number }

const learningRate = 0.01

/** A compiled graph of either form on random data, its weights fed back after every run. For benchmarks. */
export class RunningTraining implements AsyncDisposable {
  readonly #compiled: CompiledTraining
  readonly #session: ort.InferenceSession
  readonly #feeds: Map<string, Tensor>
  readonly #samples: number

  private constructor(
    compiled: CompiledTraining,
    session: ort.InferenceSession,
    feeds: Map<string, Tensor>,
    samples: number,
  ) {
    this.#compiled = compiled
    this.#session = session
    this.#feeds = feeds
    this.#samples = samples
  }

  static async open(model: ModelProto, compiled: CompiledTraining, run: Run): Promise<RunningTraining> {
    const session = await ort.InferenceSession.create(compiled.model, sessionOptions)
    const samples = run.batchSize * (compiled.order === undefined ? 1 : run.stepsPerRun)
    return new RunningTraining(compiled, session, feedsOf(model, compiled, run, samples), samples)
  }

  /** Nodes of one step: of the loop's body, or of the whole graph where there is no loop. */
  get nodesPerStep(): number {
    const nodes = fromBinary(ModelProtoSchema, this.#compiled.model).graph?.node ?? []
    const loop = nodes.find(({ opType }) => opType === 'Loop')
    return loop?.attribute.find(({ name }) => name === 'body')?.g?.node.length ?? nodes.length
  }

  /** Samples a second over that long. */
  async measure(seconds: number): Promise<number> {
    const started = performance.now()
    let samples = 0
    while (performance.now() - started < seconds * 1000) {
      await this.#advance()
      samples += this.#samples
    }
    return (samples * 1000) / (performance.now() - started)
  }

  async #advance(): Promise<void> {
    const { parameters, losses } = this.#compiled
    const fetches = [...parameters.map(({ output }) => output), losses]
    const results = await runSession(this.#session, this.#feeds, fetches)
    for (const { input, output } of parameters) this.#feeds.set(input, results.get(output) as Tensor)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release()
  }
}

const feedsOf = (model: ModelProto, compiled: CompiledTraining, run: Run, samples: number): Map<string, Tensor> => {
  const start = startValues(model)
  const next = splitmix32(3)
  const shape = [samples, ...compiled.exampleShape]
  const features = zeros(compiled.featuresDtype, shape)
  for (let index = 0; index < features.data.length; index++) {
    features.data[index] = features.dtype === 'int64' ? BigInt(next() % run.vocabulary) : next() / 2 ** 32
  }
  const labels = Int32Array.from({ length: samples }, () => next() % compiled.classes)
  const feeds = new Map<string, Tensor>([
    ...compiled.parameters.map(({ name, input }): [string, Tensor] => [input, start.get(name) as Tensor]),
    [compiled.features, features],
    [compiled.labels, { dtype: 'int32', shape: [samples], data: labels }],
    [compiled.learningRate, { dtype: 'float32', shape: [], data: Float32Array.of(learningRate) }],
  ])
  if (compiled.order !== undefined) {
    const rows = Int32Array.from({ length: elementCount([run.stepsPerRun, run.batchSize]) }, (_, row) => row)
    feeds.set(compiled.order, { dtype: 'int32', shape: [run.stepsPerRun, run.batchSize], data: rows })
  }
  return feeds
}
