import { intsAttribute, type Node, nodeLabel, stringAttribute } from '../graph.ts'
import { OnnxModelError } from '../onnx-model-error.ts'
import type { ValueType } from '../values.ts'

/** A sliding window over the spatial axes, all lists by spatial axis; `padEnd` as declared, before any cropping. */
export type Window = {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly padBegin: readonly number[]
  readonly padEnd: readonly number[]
  readonly inputSizes: readonly number[]
  readonly outputSizes: readonly number[]
}

/** Reads the window of a Conv or pooling node. Throws OPERATOR_FORM_UNSUPPORTED for spatial sizes that vary. */
export const windowOf = (node: Node, input: ValueType, output: ValueType, kernel: readonly number[]): Window => {
  const inputSizes = fixedSizes(node, input)
  const outputSizes = fixedSizes(node, output)
  const strides = intsAttribute(node, 'strides') ?? kernel.map(() => 1)
  const dilations = intsAttribute(node, 'dilations') ?? kernel.map(() => 1)
  const automatic = stringAttribute(node, 'auto_pad', 'NOTSET')
  const declared = intsAttribute(node, 'pads') ?? kernel.flatMap(() => [0, 0])
  const pads = kernel.map((size, axis): [number, number] => {
    if (automatic === 'NOTSET') return [declared[axis] ?? 0, declared[axis + kernel.length] ?? 0]
    if (automatic === 'VALID') return [0, 0]
    const covered = ((outputSizes[axis] ?? 1) - 1) * (strides[axis] ?? 1) + (dilations[axis] ?? 1) * (size - 1) + 1
    const total = Math.max(0, covered - (inputSizes[axis] ?? 0))
    const less = Math.floor(total / 2)
    return automatic === 'SAME_LOWER' ? [total - less, less] : [less, total - less]
  })
  const padBegin = pads.map(([begin]) => begin)
  const padEnd = pads.map(([, end]) => end)
  return { kernel, strides, dilations, padBegin, padEnd, inputSizes, outputSizes }
}

/** Attributes with which a ConvTranspose takes the window's output back to exactly its input's size. */
export const transposedAttributes = (window: Window) => {
  const { kernel, strides, dilations, padBegin, inputSizes, outputSizes } = window
  const surplus = kernel.map((size, axis) => {
    const spread = (at(outputSizes, axis) - 1) * at(strides, axis) + at(dilations, axis) * (size - 1) + 1
    return spread - at(padBegin, axis) - at(inputSizes, axis)
  })
  return {
    strides,
    dilations,
    pads: [...padBegin, ...surplus.map(size => Math.max(0, size))],
    // Rows at the end that the stride left unread get a gradient of 0.
    output_padding: surplus.map(size => Math.max(0, -size)),
  }
}

export const at = (list: readonly number[], index: number): number => list[index] ?? 0

export const unsupportedForm = (node: Node, form: string, remedy: string): never => {
  throw new OnnxModelError('OPERATOR_FORM_UNSUPPORTED', `${node.op} with ${form} cannot be trained yet`, remedy, {
    nodeName: nodeLabel(node),
  })
}

/** Spatial sizes of a value [N, C, …]. */
export const fixedSizes = (node: Node, { shape }: ValueType): number[] =>
  shape
    .slice(2)
    .map(size =>
      typeof size === 'number'
        ? size
        : unsupportedForm(node, 'spatial sizes that vary', 'Export with fixed height and width.'),
    )

/** Every position of a grid, in row-major order. */
export const positions = (sizes: readonly number[]): number[][] =>
  sizes.reduce<number[][]>(
    (prefixes, size) => prefixes.flatMap(prefix => Array.from({ length: size }, (_, index) => [...prefix, index])),
    [[]],
  )
