import type { Node } from '../graph.ts'
import type { Tensor } from '../tensor.ts'
import { renameInputs } from './rename-inputs.ts'

/** Larger constants are compared by name only. */
const maxElements = 16

/** Reads equal small constants (axes, shapes, scalars) under one name, so that equal expressions look equal. */
export const shareConstants = (nodes: readonly Node[], constants: ReadonlyMap<string, Tensor>): Node[] => {
  const firsts = new Map<string, string>()
  const renamed = new Map<string, string>()
  for (const [name, { dtype, shape, data }] of constants) {
    if (data.length > maxElements) continue
    const elements = Array.from<number | bigint, string>(data, element =>
      Object.is(element, -0) ? '-0' : `${element}`,
    )
    const key = `${dtype} ${shape.join()} ${elements.join()}`
    const first = firsts.get(key)
    if (first === undefined) firsts.set(key, name)
    else renamed.set(name, first)
  }
  return nodes.map(node => renameInputs(node, renamed))
}
