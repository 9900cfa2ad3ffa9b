import { Emitter } from '../emitter.ts'
import type { Graph } from '../graph.ts'
import { dropDeadCode } from '../passes/dead-code.ts'
import type { ValueType } from '../values.ts'
import { dropIdleDropout } from './drop-idle-dropout.ts'
import { fixReshapes } from './fix-reshapes.ts'
import { readLastStates } from './last-states.ts'
import { linearAsGemm } from './linear-as-gemm.ts'
import { splitSlices } from './split-slices.ts'
import { dropZeroStates } from './zero-states.ts'

/**
 * Rewrites what exporters write at length into forms with fewer nodes and shorter gradients; results are the same but for
 * rounding. Returns the types of values that are new, too.
 * @param results names that must exist beside the graph's outputs
 */
export const simplifyForward = (
  graph: Graph,
  known: ReadonlyMap<string, ValueType>,
  results: readonly string[],
): { readonly graph: Graph; readonly values: ReadonlyMap<string, ValueType> } => {
  const emitter = new Emitter([...known.keys(), ...graph.inputs.map(({ name }) => name)])
  const values = new Map(known)
  const wanted = [...graph.outputs.map(({ name }) => name), ...results]
  const states = readLastStates(dropZeroStates(graph.nodes, values), emitter, values)
  const kept = dropIdleDropout(states, values, wanted)
  const reshaped = fixReshapes(kept, emitter, values)
  const parted = splitSlices(reshaped, emitter, values)
  const nodes = dropDeadCode(linearAsGemm(parted, emitter, values, wanted), wanted)
  for (const [name, tensor] of emitter.constants) {
    values.set(name, { dtype: tensor.dtype, shape: tensor.shape, constant: tensor })
  }
  return { graph: { ...graph, nodes, constants: new Map([...graph.constants, ...emitter.constants]) }, values }
}
