import { compileEvaluation } from '../compile-evaluation.ts'
import { compileTraining } from '../compile-training.ts'
import type { ModelProto } from '../gen/onnx_pb.ts'
import { graphOf, parametersOf } from '../parameters.ts'
import type { Tensor } from '../tensor.ts'
import { tensorFromProto } from '../tensor-proto.ts'
import { ortRunner } from './ort-runner.ts'

/** Large, so that the step dwarfs the weights and W − W′ keeps the precision of the gradient. */
const learningRate = 2 ** 20

export type Batch = { readonly x: Tensor; readonly labels: Int32Array }

/** The gradient of the mean loss by parameter, read off one compiled SGD step. For tests. */
export const compiledGradients = async (
  model: ModelProto,
  { x, labels }: Batch,
): Promise<Map<string, Float64Array>> => {
  const compiled = await compileTraining(
    model,
    { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'step' },
    ortRunner,
  )
  const start = startValues(model)
  const { dtype } = compiled
  const data = dtype === 'float64' ? Float64Array.of(learningRate) : Float32Array.of(learningRate)
  const feeds = new Map<string, Tensor>([
    ...start,
    [compiled.features, x],
    [compiled.labels, { dtype: 'int32', shape: [labels.length], data: labels }],
    [compiled.learningRate, { dtype, shape: [], data }],
  ])
  const results = await ortRunner(
    compiled.model,
    feeds,
    compiled.parameters.map(({ output }) => output),
  )
  return new Map(
    compiled.parameters.map(({ name, output }) => {
      const before = start.get(name)?.data as Float64Array
      const after = results.get(output)?.data as Float64Array
      return [name, Float64Array.from(before, (value, index) => (value - (after[index] ?? 0)) / learningRate)]
    }),
  )
}

/** Central differences of the mean loss that the evaluation graph computes; float64 models only. For tests. */
export const finiteDifferences = async (
  model: ModelProto,
  { x, labels }: Batch,
): Promise<Map<string, Float64Array>> => {
  const compiled = await compileEvaluation(model, ortRunner)
  const start = startValues(model)
  const meanLoss = async (): Promise<number> => {
    const feeds = new Map<string, Tensor>([
      ...start,
      [compiled.features, x],
      [compiled.labels, { dtype: 'int32', shape: [labels.length], data: labels }],
    ])
    const losses = (await ortRunner(compiled.model, feeds, [compiled.losses])).get(compiled.losses)
    return [...((losses?.data ?? []) as Float64Array)].reduce((sum, loss) => sum + loss, 0) / labels.length
  }
  const gradients = new Map<string, Float64Array>()
  for (const [name, { data }] of start) {
    const values = data as Float64Array
    const gradient = new Float64Array(values.length)
    for (let index = 0; index < values.length; index++) {
      const value = values[index] ?? 0
      values[index] = value + 1e-6
      const above = await meanLoss()
      values[index] = value - 1e-6
      gradient[index] = (above - (await meanLoss())) / 2e-6
      values[index] = value
    }
    gradients.set(name, gradient)
  }
  return gradients
}

/** ‖a − b‖ / ‖b‖ */
export const relativeError = (a: Float64Array, b: Float64Array): number => {
  const norm = (values: Float64Array): number => Math.hypot(...values)
  return norm(a.map((value, index) => value - (b[index] ?? 0))) / norm(b)
}

/** The parameters' values, in arrays of their own. */
export const startValues = (model: ModelProto): Map<string, Tensor> => {
  const initialisers = new Map(graphOf(model).initializer.map(proto => [proto.name, proto]))
  return new Map(
    parametersOf(model).flatMap(({ name }): [string, Tensor][] => {
      const proto = initialisers.get(name)
      if (proto === undefined) return []
      const tensor = tensorFromProto(proto)
      return [[name, { ...tensor, data: tensor.data.slice() }]]
    }),
  )
}
