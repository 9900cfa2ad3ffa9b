import { intAttribute, intsAttribute, stringAttribute } from '../graph.ts'
import { fixedSize } from './constant-operand.ts'
import type { GradientRule } from './gradient-rule.ts'
import { fixedSizes } from './window.ts'

/** Transpose back. */
export const transposeGradient: GradientRule = ({ node, emitter, typeOf, outputGradient }) => {
  const rank = typeOf(node.inputs[0] ?? '').shape.length
  const perm = intsAttribute(node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis)
  const inverse = perm.map((_, axis) => perm.indexOf(axis))
  return [emitter.emit('Transpose', [outputGradient], { perm: inverse })]
}

/** DepthToSpace moves pixels, so the gradient moves them back. */
export const depthToSpaceGradient: GradientRule = context => {
  const { node, emitter, typeOf, outputGradient } = context
  const [x = ''] = node.inputs
  const block = intAttribute(node, 'blocksize', 1)
  if (stringAttribute(node, 'mode', 'DCR') === 'DCR') {
    return [emitter.emit('SpaceToDepth', [outputGradient], { blocksize: block })]
  }
  // Column-row-depth order: channel = (c, row in block, column in block).
  const [height = 0, width = 0] = fixedSizes(node, typeOf(x))
  const channels = fixedSize(context, x, 1)
  const parted = [-1, channels / (block * block), height, block, width, block]
  const blocks = emitter.call('Reshape', outputGradient, emitter.int64s(parted))
  const gathered = emitter.emit('Transpose', [blocks], { perm: [0, 1, 3, 5, 2, 4] })
  return [emitter.call('Reshape', gathered, emitter.int64s([-1, channels, height, width]))]
}

export const spaceToDepthGradient: GradientRule = ({ node, emitter, outputGradient }) => [
  emitter.emit('DepthToSpace', [outputGradient], { blocksize: intAttribute(node, 'blocksize', 1) }),
]
