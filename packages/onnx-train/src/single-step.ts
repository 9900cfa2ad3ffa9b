import type { OutputDeclaration } from './graph.ts'
import { castTarget } from './losses/softmax-cross-entropy.ts'
import { dropDeadCode } from './passes/dead-code.ts'
import type { TrainStep } from './train-step.ts'
import type { WrappedStep } from './wrapped-step.ts'

/** A graph that takes one minibatch and makes one step. */
export const singleStep = (step: TrainStep): WrappedStep => {
  const { forward, emitter, labels, learningRate, batchSize, logLikelihood, updated, dtype } = step
  const { parameters, features, exampleShape, graph } = forward
  const losses = emitter.fresh('loss')
  const prelude = emitter.capture(() => {
    const count = emitter.emit('Squeeze', [emitter.emit('Shape', [labels])])
    emitter.define([batchSize], 'Cast', [count], { to: castTarget[dtype] })
  })
  const meanLoss = emitter.capture(() => {
    emitter.define([losses], 'Neg', [emitter.emit('Div', [logLikelihood, batchSize])])
  })
  const outputs: OutputDeclaration[] = [
    ...parameters.map((parameter, index) => ({ ...parameter, name: updated[index] ?? '' })),
    { name: losses, dtype, shape: [] },
  ]
  const results = outputs.map(({ name }) => name)
  return {
    graph: {
      name: 'train_step',
      inputs: [
        ...parameters,
        { ...features, shape: ['batch', ...exampleShape] },
        { name: labels, dtype: 'int32', shape: ['batch'] },
        { name: learningRate, dtype, shape: [] },
      ],
      outputs,
      constants: new Map([...graph.constants, ...emitter.constants]),
      nodes: dropDeadCode([...prelude, ...step.nodes, ...meanLoss], results),
    },
    features: features.name,
    labels,
    learningRate,
    losses,
  }
}
