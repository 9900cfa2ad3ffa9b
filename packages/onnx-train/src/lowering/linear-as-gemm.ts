import type { Emitter } from '../emitter.ts'
import { countUses, intsAttribute, type Node, onlyOutput } from '../graph.ts'
import { rowCount, staticShape } from '../static-shape.ts'
import type { Size, ValueType } from '../values.ts'

type Values = Map<string, ValueType>

/** A product of rows with one matrix, and the bias that is added to it. */
type Linear = {
  readonly rows: string
  readonly matrix: string
  readonly isTransposed: boolean
  readonly bias: string | undefined
  readonly output: string
  readonly product: string
}

/**
 * MatMul with a matrix of fixed size, and the Add of a bias [C] after it, become one Gemm on rows: the runtime adds the
 * bias as it stores the product, the bias' gradient is a product too, and the update of the matrix needs no pass of its
 * own. Exporters write linear layers over sequences as Transpose, MatMul and Add.
 */
export const linearAsGemm = (
  nodes: readonly Node[],
  emitter: Emitter,
  values: Values,
  results: readonly string[],
): Node[] => {
  const uses = countUses(nodes, results)
  const producers = new Map(nodes.map(node => [onlyOutput(node), node]))
  const biased = new Map<Node, Node>()
  for (const node of nodes) {
    const product = node.op === 'Add' ? node.inputs.map(name => producers.get(name)).find(isMatMul) : undefined
    if (product !== undefined && uses.get(onlyOutput(product)) === 1) biased.set(product, node)
  }
  const replaced = new Map<Node, Node[]>()
  for (const product of nodes.filter(isMatMul)) {
    const linear = linearOf(product, biased.get(product), producers, values)
    if (linear === undefined) continue
    const emitted = emitter.capture(() => emitLinear(emitter, linear, values))
    const add = linear.bias === undefined ? undefined : biased.get(product)
    replaced.set(product, add === undefined ? emitted : [])
    if (add !== undefined) replaced.set(add, emitted)
  }
  return nodes.flatMap(node => replaced.get(node) ?? [node])
}

const isMatMul = (node: Node | undefined): node is Node => node?.op === 'MatMul'

const isFixedMatrix = (shape: readonly Size[] | undefined): shape is readonly [number, number] =>
  shape?.length === 2 && shape.every(size => typeof size === 'number')

const linearOf = (
  node: Node,
  add: Node | undefined,
  producers: ReadonlyMap<string, Node>,
  values: Values,
): Linear | undefined => {
  const [rows = '', right = ''] = node.inputs
  const product = onlyOutput(node)
  const given = values.get(rows)?.shape
  const matrix = values.get(right)?.shape
  const output = values.get(product)?.shape
  if (given === undefined || output === undefined || given.length < 2 || !isFixedMatrix(matrix)) return undefined
  if (typeof rowCount(given) !== 'object' || staticShape(output) === undefined) return undefined
  const producer = producers.get(right)
  const perm = producer?.op === 'Transpose' ? (intsAttribute(producer, 'perm') ?? [1, 0]) : []
  const isTransposed = perm[0] === 1
  const bias = add?.inputs.find(name => name !== product)
  const shape = values.get(bias ?? '')?.shape
  const isVector = shape?.length === 1 && shape[0] === matrix[1]
  const isBiased = add !== undefined && bias !== undefined && isVector
  return {
    rows,
    matrix: isTransposed ? (producer?.inputs[0] ?? right) : right,
    isTransposed,
    bias: isBiased ? bias : undefined,
    output: isBiased ? onlyOutput(add) : product,
    product,
  }
}

const emitLinear = (
  emitter: Emitter,
  { rows, matrix, isTransposed, bias, output, product }: Linear,
  values: Values,
) => {
  const { dtype, shape } = values.get(product) as ValueType
  const given = values.get(rows)?.shape ?? []
  const inputs = (flat: string): string[] => [flat, matrix, ...(bias === undefined ? [] : [bias])]
  const attributes = { transB: isTransposed ? 1 : 0 }
  if (given.length === 2) return emitter.define([output], 'Gemm', inputs(rows), attributes)
  const count = rowCount(given) as Size
  const [inner, outer] = [given.at(-1) as Size, shape.at(-1) as Size]
  const flat = emitter.call('Reshape', rows, emitter.int64s([-1, inner as number]))
  values.set(flat, { dtype, shape: [count, inner] })
  const result = emitter.emit('Gemm', inputs(flat), attributes)
  values.set(result, { dtype, shape: [count, outer] })
  emitter.define([output], 'Reshape', [result, emitter.int64s(staticShape(shape) ?? [])])
}
