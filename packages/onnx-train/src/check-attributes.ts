import type { NodeProto } from './gen/onnx_pb.ts'
import { OnnxModelError } from './onnx-model-error.ts'

/** Attributes that are true or false in every operator that has them. */
const flags = new Set([
  'allowzero',
  'antialias',
  'ceil_mode',
  'count_include_pad',
  'exclude_outside',
  'exclusive',
  'keepdims',
  'linear_before_reset',
  'noop_with_empty_axes',
  'reverse',
  'storage_order',
  'training_mode',
  'transA',
  'transB',
  'upper',
])

/** Attributes that count from the first axis of a tensor, or back from the last. */
const axes = new Set(['axis', 'axes', 'batch_axis', 'batch_dims', 'concat_result_axis', 'seq_axis', 'time_axis'])
/** No tensor has as many axes. */
const mostAxes = 64n

/**
 * Throws MALFORMED where a flag is neither 0 nor 1, or an axis is one that no tensor has. Runtimes take any other number for true or
 * for false as they please, so a gradient computed from such a number may belong to another operator than the one that runs; and
 * onnxruntime 1.30 ends the process at LayerNormalization over axis 2^31.
 */
export const checkAttributes = (node: NodeProto, nodeName: string): void => {
  for (const { name, i, ints } of node.attribute) {
    if (flags.has(name) && i !== 0n && i !== 1n) {
      throw damaged(nodeName, `Attribute "${name}" is ${i}, and only 0 and 1 have a meaning`)
    }
    if (!axes.has(name)) continue
    const wrong = [i, ...ints].find(axis => axis >= mostAxes || axis < -mostAxes)
    if (wrong !== undefined) throw damaged(nodeName, `Attribute "${name}" is ${wrong}, and no tensor has such an axis`)
  }
}

const damaged = (nodeName: string, message: string): OnnxModelError =>
  new OnnxModelError('MALFORMED', message, 'Export the model again; the node is damaged.', { nodeName })
