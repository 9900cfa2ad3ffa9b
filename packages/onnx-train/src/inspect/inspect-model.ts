import { type CompiledTraining, compileTraining, type TrainingOptions } from '../compile-training.ts'
import { prepareForward } from '../forward.ts'
import type { ModelProto } from '../gen/onnx_pb.ts'
import type { Node, ValueDeclaration } from '../graph.ts'
import { declarationFromProto, graphFromProto } from '../graph-from-proto.ts'
import { foldedActivations } from '../losses/emit-loss.ts'
import { lossOptions } from '../losses/loss.ts'
import { OnnxModelError } from '../onnx-model-error.ts'
import { graphOf, type Parameter, parametersOf } from '../parameters.ts'
import { opsetOf } from '../read-model.ts'
import { gradientRules } from '../rules/gradient-rules.ts'
import type { Runner } from '../runner.ts'
import { elementCount } from '../tensor.ts'
import { dtypeOf } from '../tensor-proto.ts'
import { chosenParameters } from '../trainable.ts'
import { type ExportFault, exportFaults } from './export-faults.ts'

export type InspectedParameter = Parameter & {
  readonly elements: number
  /** Why it does or does not change: trains, is carried, was frozen by choice, or nothing after it reaches the loss. */
  readonly role: 'trains' | 'running statistic' | 'frozen' | 'does not reach the output'
}

export type InspectedOperator = {
  readonly op: string
  readonly count: number
  /** Whether gradients must pass through it, and can. */
  readonly gradient: 'passes' | 'not needed' | 'unknown'
}

export type Inspection = {
  readonly producer: string
  readonly irVersion: number
  readonly opset: number
  readonly nodes: number
  readonly inputs: readonly ValueDeclaration[]
  readonly outputs: readonly ValueDeclaration[]
  readonly parameters: readonly InspectedParameter[]
  /** Float initialisers that are no parameters. */
  readonly constants: number
  readonly operators: readonly InspectedOperator[]
  readonly faults: readonly ExportFault[]
  /** The compiled training graph, or why there is none. */
  readonly training: CompiledTraining | OnnxModelError
}

/** Looks at a checked model: what it is, what of it can be trained with these options and what not, and why. */
export const inspectModel = async (
  model: ModelProto,
  options: TrainingOptions,
  runner: Runner,
): Promise<Inspection> => {
  const graph = graphOf(model)
  const parameters = caught(() => parametersOf(model), [])
  const names = new Set(parameters.map(({ name }) => name))
  const initialisers = new Set(graph.initializer.map(({ name }) => name))
  const training = await compileTraining(model, options, runner).catch(onlyModelErrors)
  return {
    producer: producerOf(model),
    irVersion: Number(model.irVersion),
    opset: opsetOf(model),
    nodes: graph.node.length,
    inputs: graph.input.filter(({ name }) => !initialisers.has(name) && !names.has(name)).map(declarationFromProto),
    outputs: graph.output.map(declarationFromProto),
    ...gradientsIn(model, options, parameters, !(training instanceof OnnxModelError)),
    constants: graph.initializer.filter(
      ({ name, dataType }) => !names.has(name) && dtypeOf(dataType)?.startsWith('float') === true,
    ).length,
    faults: caught(() => exportFaults(model), []),
    training,
  }
}

/** tf2onnx writes the commit that it was built from behind its version, or None. */
const producerOf = ({ producerName, producerVersion }: Partial<ModelProto>): string =>
  [producerName ?? '', (producerVersion ?? '').replace(/ None$/, '')].filter(text => text !== '').join(' ')

const gradientsIn = (
  model: ModelProto,
  options: TrainingOptions,
  parameters: readonly Parameter[],
  compiles: boolean,
): Pick<Inspection, 'parameters' | 'operators'> => {
  const folds = foldedActivations(lossOptions(options.loss))
  const forward = caught(() => prepareForward(model, { output: options.output, folds }), undefined)
  const trainable = caught(() => chosenParameters(parameters, options.trainable ?? {}), new Set<string>())
  const nodes = forward?.graph.nodes ?? caught(() => graphFromProto(graphOf(model)).nodes, [])
  const needed = new Set(forward === undefined ? [] : [forward.output])
  for (const node of nodes.toReversed()) {
    if (node.outputs.some(name => needed.has(name))) for (const input of node.inputs) needed.add(input)
  }
  const role = ({ name, buffer }: Parameter): InspectedParameter['role'] => {
    if (!trainable.has(name)) return 'frozen'
    if (buffer === true) return 'running statistic'
    return needed.has(name) ? 'trains' : 'does not reach the output'
  }
  return {
    parameters: parameters.map(each => ({ ...each, elements: elementCount(each.shape), role: role(each) })),
    operators: operatorsOf(nodes, trainable, compiles),
  }
}

const operatorsOf = (
  nodes: readonly Node[],
  trainable: ReadonlySet<string>,
  compiles: boolean,
): InspectedOperator[] => {
  const dependent = new Set(trainable)
  const found = new Map<string, { count: number; needed: boolean }>()
  for (const { op, inputs, outputs } of nodes) {
    // What comes after Shape are sizes, whatever the values were.
    const needed = op !== 'Shape' && op !== 'Size' && inputs.some(name => dependent.has(name))
    if (needed) for (const output of outputs) dependent.add(output)
    const known = found.get(op)
    found.set(op, { count: (known?.count ?? 0) + 1, needed: needed || known?.needed === true })
  }
  return [...found]
    .map(([op, { count, needed }]): InspectedOperator => {
      if (!needed) return { op, count, gradient: 'not needed' }
      return { op, count, gradient: compiles || gradientRules.has(op) ? 'passes' : 'unknown' }
    })
    .sort((a, b) => b.count - a.count || (a.op < b.op ? -1 : 1))
}

/** A model that cannot be trained can still be described as far as it goes. */
const caught = <T>(read: () => T, otherwise: T): T => {
  try {
    return read()
  } catch (error) {
    onlyModelErrors(error)
    return otherwise
  }
}

const onlyModelErrors = (error: unknown): OnnxModelError => {
  if (error instanceof OnnxModelError) return error
  throw error
}
