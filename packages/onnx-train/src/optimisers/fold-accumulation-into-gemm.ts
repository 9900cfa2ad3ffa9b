import { countUses, inputAt, type Node, onlyOutput } from '../graph.ts'
import type { Tensor } from '../tensor.ts'

/**
 * Add(Mul(v, β), Gemm(A, B)) becomes Gemm(A, B, v; β): the decay of a moment costs no pass over it. Only where the sum
 * is the new value of one of `accumulators` (new value → old value), so that the product has exactly its shape.
 */
export const foldAccumulationIntoGemm = (
  nodes: readonly Node[],
  accumulators: ReadonlyMap<string, string>,
  constants: ReadonlyMap<string, Tensor>,
  results: readonly string[],
): Node[] => {
  const uses = countUses(nodes, results)
  const producers = new Map(nodes.map(node => [onlyOutput(node), node]))
  const absorbed = new Set<Node>()
  const folded = nodes.map(node => {
    const accumulator = node.op === 'Add' ? accumulators.get(onlyOutput(node)) : undefined
    if (accumulator === undefined) return node
    const [decayed, gemm] = node.inputs.map(name => producers.get(name))
    if (decayed?.op !== 'Mul' || decayed.inputs[0] !== accumulator || uses.get(onlyOutput(decayed)) !== 1) return node
    const scale = constants.get(decayed.inputs[1] ?? '')
    // Attributes are float32: in a graph of doubles β would lose digits.
    const beta = scale?.dtype === 'float32' ? scale.data[0] : undefined
    if (gemm?.op !== 'Gemm' || inputAt(gemm, 2) !== undefined || uses.get(onlyOutput(gemm)) !== 1) return node
    if (typeof beta !== 'number') return node
    absorbed.add(gemm).add(decayed)
    return {
      ...gemm,
      inputs: [...gemm.inputs.slice(0, 2), accumulator],
      outputs: node.outputs,
      attributes: new Map([...gemm.attributes, ['beta', { float: beta }] as const]),
    }
  })
  return folded.filter(node => !absorbed.has(node))
}
