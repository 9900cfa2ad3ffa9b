import { castTarget } from './onnx-types.ts'
import { dropDeadCode } from './passes/dead-code.ts'
import { port } from './ports.ts'
import type { TrainStep } from './train-step.ts'
import { carriedPorts, commonPorts, type WrappedStep, wrapped } from './wrapped-step.ts'

/** A graph that takes one minibatch and makes one step. */
export const singleStep = (step: TrainStep): WrappedStep => {
  const { forward, emitter, labels, batchSize, loss, dtype, sampleWeights } = step
  const losses = emitter.fresh('loss')
  const prelude = emitter.capture(() => {
    const size = emitter.emit('Gather', [emitter.emit('Shape', [labels]), emitter.int64s([0])])
    emitter.define([batchSize], 'Cast', [emitter.emit('Squeeze', [size])], { to: castTarget[dtype] })
  })
  const meanLoss = emitter.capture(() => loss.emitMean(loss.perStep, losses))
  const inputs = [
    ...carriedPorts(step, name => name),
    ...commonPorts(step, { features: forward.features.name, labels, sampleWeights }, 'batch'),
  ]
  const outputs = [...carriedPorts(step, (_, updated) => updated), port('losses', { name: losses, dtype, shape: [] })]
  const results = outputs.map(({ name }) => name)
  const nodes = dropDeadCode([...prelude, ...step.nodes, ...meanLoss], results)
  const constants = new Map([...forward.graph.constants, ...emitter.constants])
  return wrapped({ name: 'train_step', constants, nodes }, inputs, outputs)
}
