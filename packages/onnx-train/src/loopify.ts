import type { Graph, OutputDeclaration } from './graph.ts'
import { castTarget } from './losses/softmax-cross-entropy.ts'
import { hoistInvariants } from './passes/hoist-invariants.ts'
import type { TrainStep } from './train-step.ts'
import type { WrappedStep } from './wrapped-step.ts'

/**
 * Wraps a step as the body of an ONNX Loop: parameters are loop-carried and never leave the runtime between steps, data
 * and order are read from outside the body, each iteration gathers its rows. What is the same in every step (the scale
 * of the seed) is computed once, outside.
 */
export const loopify = (step: TrainStep): WrappedStep => {
  const { forward, emitter, learningRate, batchSize, dtype } = step
  const { parameters, features, exampleShape, graph } = forward
  const fresh = (wish: string): string => emitter.fresh(wish)
  const outer = { features: fresh('features.all'), labels: fresh('labels.all'), order: fresh('order') }
  const initial = parameters.map(({ name }) => fresh(`${name}.initial`))
  const final = parameters.map(({ name }) => fresh(`${name}.final`))
  const losses = fresh('losses')
  const likelihoods = fresh('log_likelihoods')
  const { invariant, varying } = hoistInvariants(step.nodes, [
    features.name,
    step.labels,
    ...parameters.map(({ name }) => name),
  ])
  const body = bodyGraph(step, varying, outer)
  const nodes = emitter.capture(() => {
    const shape = emitter.emit('Shape', [outer.order])
    const sizes = [0, 1].map(index =>
      emitter.emit('Squeeze', [emitter.emit('Gather', [shape, emitter.int64s([index])])]),
    )
    const [steps = '', batch = ''] = sizes
    emitter.define([batchSize], 'Cast', [batch], { to: castTarget[dtype] })
    emitter.nodes.push(...invariant)
    emitter.define([...final, likelihoods], 'Loop', [steps, '', ...initial], { body: { graph: body } })
    emitter.define([losses], 'Neg', [emitter.emit('Div', [likelihoods, batchSize])])
  })
  const outputs: OutputDeclaration[] = [
    ...parameters.map((parameter, index) => ({ ...parameter, name: final[index] ?? '' })),
    { name: losses, dtype, shape: ['steps'] },
  ]
  return {
    graph: {
      name: 'train_loop',
      inputs: [
        ...parameters.map((parameter, index) => ({ ...parameter, name: initial[index] ?? '' })),
        { ...features, name: outer.features, shape: ['examples', ...exampleShape] },
        { name: outer.labels, dtype: 'int32', shape: ['examples'] },
        { name: learningRate, dtype, shape: [] },
        { name: outer.order, dtype: 'int32', shape: ['steps', 'batch'] },
      ],
      outputs,
      constants: new Map([...graph.constants, ...emitter.constants]),
      nodes,
    },
    ...outer,
    learningRate,
    losses,
  }
}

/** One iteration: gather the rows of this step, then the step itself. */
const bodyGraph = (
  { forward, emitter, labels, updated, logLikelihood }: TrainStep,
  nodes: Graph['nodes'],
  outer: { features: string; labels: string; order: string },
): Graph => {
  const iteration = emitter.fresh('iteration')
  const goOn = emitter.fresh('go_on')
  const stillGoOn = emitter.fresh('still_go_on')
  const gather = emitter.capture(() => {
    const rows = emitter.emit('Gather', [outer.order, iteration], { axis: 0 }, 'rows')
    emitter.define([forward.features.name], 'Gather', [outer.features, rows], { axis: 0 })
    emitter.define([labels], 'Gather', [outer.labels, rows], { axis: 0 })
    emitter.define([stillGoOn], 'Identity', [goOn])
  })
  return {
    name: 'train_loop_body',
    inputs: [
      { name: iteration, dtype: 'int64', shape: [] },
      { name: goOn, dtype: 'bool', shape: [] },
      ...forward.parameters,
    ],
    outputs: [stillGoOn, ...updated, logLikelihood].map(name => ({ name })),
    constants: new Map(),
    nodes: [...gather, ...nodes],
  }
}
