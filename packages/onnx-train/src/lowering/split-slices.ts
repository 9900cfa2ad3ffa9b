import type { Emitter } from '../emitter.ts'
import { inputAt, intAttribute, type Node, onlyOutput } from '../graph.ts'
import { renameInputs } from '../passes/rename-inputs.ts'
import type { ValueType } from '../values.ts'

type Values = Map<string, ValueType>

/** Part of a value's axis that a node takes out. */
type Part = {
  readonly node: Node
  readonly value: string
  readonly axis: number
  readonly size: number
  readonly start: number
  readonly end: number
}

/**
 * Slices, and Gathers of one index, that part an axis between them become one Split: its gradient is one Concat, theirs
 * are padded and added up. Exporters write the gates of recurrent layers, and queries, keys and values, that way.
 * Other Gathers of one index become Slice and Squeeze, the gradients of which need no zeros to scatter into.
 */
export const splitSlices = (nodes: readonly Node[], emitter: Emitter, values: Values): Node[] => {
  const groups = Map.groupBy(
    nodes.flatMap(node => partOf(node, values) ?? []),
    ({ value, axis }) => JSON.stringify([value, axis]),
  )
  const replacements = new Map<Node, Node[]>()
  const renamed = new Map<string, string>()
  for (const group of groups.values()) {
    const parts = partition(group)
    if (parts === undefined) {
      for (const part of group) {
        if (part.node.op === 'Gather')
          replacements.set(
            part.node,
            emitter.capture(() => emitSlice(emitter, part, values)),
          )
      }
      continue
    }
    for (const { node } of group) replacements.set(node, [])
    const [first] = group
    if (first !== undefined) {
      replacements.set(
        first.node,
        emitter.capture(() => emitSplit(emitter, group, parts, values, renamed)),
      )
    }
  }
  return nodes.flatMap(node => replacements.get(node) ?? [node]).map(node => renameInputs(node, renamed))
}

/** The distinct parts in order, where they are all of the axis and there are several of them. */
const partition = (group: readonly Part[]): readonly Part[] | undefined => {
  const distinct = new Map(group.map(part => [part.start, part]))
  const parts = [...distinct.values()].sort((a, b) => a.start - b.start)
  if (parts.length < 2 || group.some(({ start, end }) => distinct.get(start)?.end !== end)) return undefined
  const size = parts[0]?.size ?? 0
  const isComplete = parts.every(({ start }, index) => start === (index === 0 ? 0 : parts[index - 1]?.end))
  return isComplete && parts.at(-1)?.end === size ? parts : undefined
}

const partOf = (node: Node, values: Values): Part | undefined => {
  if (node.op !== 'Slice' && node.op !== 'Gather') return undefined
  const value = node.inputs[0] ?? ''
  const type = values.get(value)
  if (type === undefined || !type.dtype.startsWith('float') || type.constant !== undefined) return undefined
  const only = (index: number): number | undefined => {
    const tensor = values.get(inputAt(node, index) ?? '')?.constant
    return tensor?.data.length === 1 ? Number(tensor.data[0]) : undefined
  }
  const isGather = node.op === 'Gather'
  const declared = isGather ? intAttribute(node, 'axis', 0) : only(3)
  const from = only(1)
  if (declared === undefined || from === undefined) return undefined
  const axis = declared < 0 ? declared + type.shape.length : declared
  const size = type.shape[axis]
  if (typeof size !== 'number') return undefined
  const within = (index: number): number => Math.min(Math.max(index < 0 ? index + size : index, 0), size)
  if (isGather) {
    const isScalar = values.get(node.inputs[1] ?? '')?.constant?.shape.length === 0
    return isScalar ? { node, value, axis, size, start: within(from), end: within(from) + 1 } : undefined
  }
  const to = only(2)
  const step = inputAt(node, 4) === undefined ? 1 : only(4)
  if (to === undefined || step !== 1 || within(to) <= within(from)) return undefined
  return { node, value, axis, size, start: within(from), end: within(to) }
}

const partType = ({ value, axis, start, end }: Part, values: Values): ValueType => {
  const { dtype, shape } = values.get(value) as ValueType
  return { dtype, shape: shape.map((size, index) => (index === axis ? end - start : size)) }
}

const emitSlice = (emitter: Emitter, part: Part, values: Values): void => {
  const { node, value, axis, start, end } = part
  const bounds = [start, end, axis].map(bound => emitter.int64s([bound]))
  const slice = emitter.call('Slice', value, ...bounds)
  values.set(slice, partType(part, values))
  emitter.define(node.outputs, 'Squeeze', [slice, emitter.int64s([axis])])
}

const emitSplit = (
  emitter: Emitter,
  group: readonly Part[],
  parts: readonly Part[],
  values: Values,
  renamed: Map<string, string>,
): void => {
  const [first] = parts
  if (first === undefined) return
  const names = parts.map(part => {
    const name = part.node.op === 'Slice' ? onlyOutput(part.node) : emitter.fresh('Split.out')
    values.set(name, partType(part, values))
    return name
  })
  const sizes = parts.map(({ start, end }) => end - start)
  emitter.define(names, 'Split', [first.value, emitter.int64s(sizes)], { axis: first.axis })
  for (const { node, start } of group) {
    const name = names[parts.findIndex(part => part.start === start)] ?? ''
    if (node.op === 'Gather') emitter.define(node.outputs, 'Squeeze', [name, emitter.int64s([first.axis])])
    else if (onlyOutput(node) !== name) renamed.set(onlyOutput(node), name)
  }
}
