import { toHalf } from '../datatype.ts'
import type { InferenceTensor, TensorPort } from '../tensor.ts'
import { filled } from './model-session.ts'

/** What stands for a size that is free, beside the first. */
const freeSize = 8

/** The shape of so many rows; a first dimension that is fixed stays. */
const shapeOf = ({ shape }: TensorPort, rows: number): number[] =>
  shape.map((size, axis) => (size >= 0 ? size : axis === 0 ? rows : freeSize))

/** Two rows: one of zeros and one of numbers from 0 to 1. Whole numbers are zeros, which are an index of every table. */
export const plainSample = (inputs: readonly TensorPort[]): InferenceTensor[] =>
  inputs.map(port => {
    const shape = shapeOf(port, 2)
    const half = shape.reduce((product, size) => product * size, 1) / 2
    return filled(
      port,
      shape,
      index => (index < half ? 0 : (index % 17) / 16),
      elementOf(port, () => 0),
    )
  })

/** Rows that differ from each other, in size too. Whole numbers are 0 and 1. */
export const unlikeRows = (inputs: readonly TensorPort[], rows: number): InferenceTensor[] =>
  inputs.map((port, place) => {
    const shape = shapeOf(port, rows)
    const width = shape.slice(1).reduce((product, size) => product * size, 1)
    const at = (index: number): number => Math.sin(1 + index * 12.9898 + place) * (1 + (Math.floor(index / width) % 5))
    return filled(
      port,
      shape,
      at,
      elementOf(port, value => (value > 0 ? 1 : 0)),
    )
  })

const elementOf = ({ datatype }: TensorPort, toWhole: (value: number) => number) => {
  if (datatype === 'FP16') return toHalf
  if (datatype === 'FP32' || datatype === 'FP64') return (value: number) => value
  if (datatype === 'INT64') return (value: number) => BigInt(toWhole(value))
  return toWhole
}
