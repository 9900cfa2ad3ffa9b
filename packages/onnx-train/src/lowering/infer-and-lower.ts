import type { Graph } from '../graph.ts'
import { inferValues } from '../infer-values.ts'
import type { Parameter } from '../parameters.ts'
import { foldConstants } from '../passes/fold-constants.ts'
import { checkRecurrentForm, isRecurrent } from '../rules/recurrent-form.ts'
import type { Runner } from '../runner.ts'
import type { ValueType } from '../values.ts'
import { nameStatistics } from './name-statistics.ts'
import { simplifyForward } from './simplify-forward.ts'
import { sliceSequences } from './slice-sequences.ts'

/** A forward graph of operators that gradient rules know, and what is known of its values. */
export type LoweredGraph = {
  readonly graph: Graph
  readonly values: ReadonlyMap<string, ValueType>
  /** Name of the value after a step of each running statistic that the graph updates, by the statistic's name. */
  readonly buffers: ReadonlyMap<string, string>
}

/**
 * Learns every value's type and computes what is constant.
 * @param frozen names of parameters and running statistics that keep their values: a BatchNormalization whose statistics
 *   are among them normalises with them and updates nothing
 * Throws SHAPES_UNKNOWN, and OPERATOR_FORM_UNSUPPORTED for recurrent layers of forms that cannot be trained.
 */
export const inferAndLower = async (
  graph: Graph,
  parameters: readonly Parameter[],
  opset: number,
  runner: Runner,
  frozen: ReadonlySet<string> = new Set(),
): Promise<LoweredGraph> => {
  graph.nodes.filter(isRecurrent).forEach(checkRecurrentForm)
  const named = nameStatistics(sliceSequences(graph), frozen)
  const values = await inferValues(named.graph, parameters, opset, runner)
  const folded = foldConstants(named.graph, values)
  return { ...simplifyForward(folded, values, [...named.buffers.values()]), buffers: named.buffers }
}
