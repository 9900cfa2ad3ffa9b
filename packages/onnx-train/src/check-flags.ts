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

/**
 * Throws MALFORMED where a flag is neither 0 nor 1. Runtimes take any other number for true or for false as they please,
 * so a gradient computed from such a number may belong to another operator than the one that runs.
 */
export const checkFlags = (node: NodeProto, nodeName: string): void => {
  for (const { name, i } of node.attribute) {
    if (!flags.has(name) || i === 0n || i === 1n) continue
    throw new OnnxModelError(
      'MALFORMED',
      `Attribute "${name}" is ${i}, and only 0 and 1 have a meaning`,
      'Export the model again; the node is damaged.',
      { nodeName },
    )
  }
}
