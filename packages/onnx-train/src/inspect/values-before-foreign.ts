import { fromBinary } from '@bufbuild/protobuf'
import { type GraphProto, ModelProtoSchema, type NodeProto } from '../gen/onnx_pb.ts'
import { isDefaultDomain } from '../read-model.ts'

/** Operators whose result is an index or a shape, which no loss starts from. */
const indices = new Set(['ArgMax', 'ArgMin', 'NonZero', 'Shape', 'Size'])

const mostValues = 8

/**
 * Values of a file that can be decoded at which its operators of other domains take over (names of classes, sorting):
 * those that are computed from weights by operators of ai.onnx alone. Empty where there are none.
 */
export const valuesBeforeForeign = (file: Uint8Array): string[] => {
  const { graph } = fromBinary(ModelProtoSchema, file)
  if (graph === undefined) return []
  const learnt = learntValues(graph)
  const foreign = graph.node.filter(({ domain }) => !isDefaultDomain(domain))
  // What picks the best class reads the scores that a loss starts from.
  const picking = graph.node.filter(({ opType }) => indices.has(opType))
  const places = [...foreign, ...picking].flatMap(({ input }) => input)
  const ends = [...places, ...graph.output.map(({ name }) => name)]
  return foreign.length === 0 ? [] : [...new Set(ends)].filter(name => learnt.has(name)).slice(0, mostValues)
}

/** Results of ai.onnx nodes that some initialiser flows into, and no node of another domain. */
const learntValues = ({ node, initializer }: GraphProto): Set<string> => {
  const weights = new Set(initializer.map(({ name }) => name))
  const foreign = new Set<string>()
  const learnt = new Set<string>()
  const some = ({ input }: NodeProto, ...sets: readonly Set<string>[]): boolean =>
    input.some(name => sets.some(set => set.has(name)))
  for (const each of node) {
    const target = !isDefaultDomain(each.domain) || some(each, foreign) ? foreign : learnt
    const reaches = target === foreign || (!indices.has(each.opType) && some(each, weights, learnt))
    if (reaches) for (const output of each.output) target.add(output)
  }
  return learnt
}
