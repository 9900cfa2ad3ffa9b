import type { Node } from '../graph.ts'
import { isRandom } from '../seed-random.ts'

/**
 * Splits nodes into those that depend on nothing that `varying` names, and the rest; both stay in order. What draws numbers
 * varies by itself: hoisted, it would draw once for all steps.
 */
export const hoistInvariants = (
  nodes: readonly Node[],
  varying: readonly string[],
): { readonly invariant: Node[]; readonly varying: Node[] } => {
  const tainted = new Set(varying)
  const groups = { invariant: [] as Node[], varying: [] as Node[] }
  for (const node of nodes) {
    if (isRandom(node) || node.inputs.some(name => tainted.has(name))) {
      for (const output of node.outputs) tainted.add(output)
      groups.varying.push(node)
    } else {
      groups.invariant.push(node)
    }
  }
  return groups
}
