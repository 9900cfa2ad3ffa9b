import type { GraphFacts } from '@tributary/learning/personalisation/keep-local'
import { readModel } from '@tributary/onnx-train/read-model'
import { bundleFiles } from '../../models/bundle-files.ts'

/** What a forward graph, which was checked when it was uploaded, tells of its tensors. @throws OnnxModelError */
export const graphFacts = (bytes: Uint8Array): GraphFacts => {
  const nodes = readModel(bytes, { maxBytes: bundleFiles.graph.maxBytes }).graph?.node ?? []
  return {
    // Inputs of the operator: X, scale, B, mean, var.
    batchNorm: new Set(
      nodes.flatMap(({ opType, input }) => (opType === 'BatchNormalization' ? input.slice(1, 5) : [])),
    ),
    order: [...new Set(nodes.flatMap(({ input }) => input))],
  }
}
