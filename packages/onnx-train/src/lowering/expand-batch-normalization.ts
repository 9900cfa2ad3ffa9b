import type { Emitter } from '../emitter.ts'
import { floatAttribute, intAttribute, type Node } from '../graph.ts'
import { castTarget } from '../onnx-types.ts'
import { epsilonOf } from '../rules/batch-normalization.ts'
import { allButChannels, emitMoments, perChannel } from '../rules/moments.ts'
import type { ValueType } from '../values.ts'

/**
 * Writes every BatchNormalization in training mode out: the runtime's kernel does not return the moments, so a gradient
 * would compute them again. Their nodes are equal to the gradient's and become one with them.
 */
export const expandBatchNormalization = (
  nodes: readonly Node[],
  emitter: Emitter,
  values: ReadonlyMap<string, ValueType>,
): Node[] =>
  nodes.flatMap(node => {
    const type = values.get(node.inputs[0] ?? '')
    const isTraining = node.op === 'BatchNormalization' && intAttribute(node, 'training_mode', 0) === 1
    return isTraining && type !== undefined ? emitter.capture(() => expand(node, emitter, type)) : [node]
  })

const expand = (node: Node, emitter: Emitter, { dtype: valueDtype, shape }: ValueType): void => {
  const [x = '', scale = '', bias = '', runningMean = '', runningVariance = ''] = node.inputs
  const [y = '', nextMean = '', nextVariance = ''] = node.outputs
  const rank = shape.length
  const dtype = valueDtype === 'float64' ? 'float64' : 'float32'
  const { centred, mean, variance, inverse } = emitMoments(emitter, x, allButChannels(rank), epsilonOf(node), dtype)
  const factor = emitter.call('Mul', inverse, perChannel(emitter, scale, rank))
  emitter.define([y], 'Add', [emitter.call('Mul', centred, factor), perChannel(emitter, bias, rank)])

  const momentum = floatAttribute(node, 'momentum', 0.9)
  const channels = emitter.int64s([-1])
  const blend = (output: string, running: string, ofBatch: string): void => {
    if (output === '') return
    const old = emitter.call('Mul', running, emitter.scalar(dtype, momentum))
    const latest = emitter.call('Mul', ofBatch, emitter.scalar(dtype, 1 - momentum))
    emitter.define([output], 'Add', [old, latest])
  }
  blend(nextMean, runningMean, emitter.call('Reshape', mean, channels))
  // The running variance estimates the population's, by n/(n − 1), as PyTorch and Keras keep it.
  const of = emitter.call('Div', emitter.call('Size', x), emitter.call('Size', scale))
  const count = emitter.emit('Cast', [of], { to: castTarget[dtype] })
  const one = emitter.scalar(dtype, 1)
  const correction = emitter.call('Div', count, emitter.call('Max', emitter.call('Sub', count, one), one))
  blend(nextVariance, runningVariance, emitter.call('Mul', emitter.call('Reshape', variance, channels), correction))
}
