import type { Graph } from './graph.ts'
import { castTarget } from './onnx-types.ts'
import { dropDeadCode } from './passes/dead-code.ts'
import { hoistInvariants } from './passes/hoist-invariants.ts'
import { declarationOf, port } from './ports.ts'
import type { TrainStep } from './train-step.ts'
import { carriedPorts, commonPorts, type WrappedStep, wrapped } from './wrapped-step.ts'

/** Names of the device's whole data outside the loop. */
type Outer = {
  readonly features: string
  readonly labels: string
  readonly sampleWeights: string | undefined
  readonly order: string
}

/**
 * Wraps a step as the body of an ONNX Loop: parameters, running statistics and the optimiser's state are loop-carried
 * and never leave the runtime between steps, data and order are read from outside the body, each iteration gathers its
 * rows. What is the same in every step (the scale of the seed, terms of frozen weights) is computed once, outside.
 */
export const loopify = (step: TrainStep): WrappedStep => {
  const { forward, emitter, batchSize, dtype, loss, sampleWeights } = step
  const fresh = (wish: string): string => emitter.fresh(wish)
  const outer: Outer = {
    features: fresh('features.all'),
    labels: fresh('labels.all'),
    sampleWeights: sampleWeights === undefined ? undefined : fresh('sample_weights.all'),
    order: fresh('order'),
  }
  const initial = carriedPorts(step, name => fresh(`${name}.initial`))
  const final = carriedPorts(step, name => fresh(`${name}.final`))
  const [losses, perStep] = [fresh('losses'), fresh('loss.each')]
  const { invariant, varying } = hoistInvariants(step.nodes, [
    forward.features.name,
    step.labels,
    ...(sampleWeights === undefined ? [] : [sampleWeights]),
    ...carriedPorts(step, name => name).map(({ name }) => name),
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
    const names = { initial: initial.map(({ name }) => name), final: final.map(({ name }) => name) }
    emitter.define([...names.final, perStep], 'Loop', [steps, '', ...names.initial], { body: { graph: body } })
    loss.emitMean(perStep, losses)
  })
  const inputs = [
    ...initial,
    ...commonPorts(step, outer, 'examples'),
    port('order', { name: outer.order, dtype: 'int32', shape: ['steps', 'batch'] }),
  ]
  const outputs = [...final, port('losses', { name: losses, dtype, shape: ['steps'] })]
  const constants = new Map([...forward.graph.constants, ...emitter.constants])
  return wrapped({ name: 'train_loop', constants, nodes }, inputs, outputs)
}

/** One iteration: gather the rows of this step, then the step itself. */
const bodyGraph = (step: TrainStep, nodes: Graph['nodes'], outer: Outer): Graph => {
  const { forward, emitter, labels, sampleWeights, loss } = step
  const iteration = emitter.fresh('iteration')
  const goOn = emitter.fresh('go_on')
  const stillGoOn = emitter.fresh('still_go_on')
  const gather = emitter.capture(() => {
    const rows = emitter.emit('Gather', [outer.order, iteration], { axis: 0 }, 'rows')
    emitter.define([forward.features.name], 'Gather', [outer.features, rows], { axis: 0 })
    emitter.define([labels], 'Gather', [outer.labels, rows], { axis: 0 })
    if (sampleWeights !== undefined && outer.sampleWeights !== undefined) {
      emitter.define([sampleWeights], 'Gather', [outer.sampleWeights, rows], { axis: 0 })
    }
    emitter.define([stillGoOn], 'Identity', [goOn])
  })
  const carried = carriedPorts(step, name => name)
  const results = [...carriedPorts(step, (_, updated) => updated).map(({ name }) => name), loss.perStep]
  return {
    name: 'train_loop_body',
    inputs: [
      { name: iteration, dtype: 'int64', shape: [] },
      { name: goOn, dtype: 'bool', shape: [] },
      ...carried.map(declarationOf),
    ],
    outputs: [stillGoOn, ...results].map(name => ({ name })),
    constants: new Map(),
    nodes: dropDeadCode([...gather, ...withReadMasks(step, nodes)], [stillGoOn, ...results]),
  }
}

/**
 * Reads the mask of every Dropout that nobody reads (where nothing before it trains): onnxruntime 1.30 takes such a
 * node out of the body of a loop, even one that is training.
 */
const withReadMasks = ({ emitter, dtype }: TrainStep, nodes: Graph['nodes']): Graph['nodes'] => {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs))
  return nodes.flatMap(node => {
    const [dropped = '', mask = ''] = node.outputs
    if (node.op !== 'Dropout' || read.has(mask)) return [node]
    const [values, kept] = [emitter.fresh(`${dropped}.values`), emitter.fresh(`${dropped}.mask`)]
    const reading = emitter.capture(() => emitter.define([dropped], 'Where', [kept, values, emitter.scalar(dtype, 0)]))
    return [{ ...node, outputs: [values, kept] }, ...reading]
  })
}
