import { InferenceError, quote } from './inference-error.ts'
import type { InferenceRequest } from './request-queue.ts'
import type { InferenceTensor, TensorPort } from './tensor.ts'
import type { ModelDescription } from './worker/protocol.ts'

type FittingRequest = InferenceRequest & { readonly rows: number; readonly likeness: string }

/**
 * Holds a request against the model: its inputs in the model's order, its outputs (all, where none are named), and whether it can be joined
 * with others. Throws InferenceError that names the tensor.
 */
export const checkRequest = (
  { inputs: given, outputs: wanted }: InferenceRequest,
  { inputs: ports, outputs: offered, joinsFrom }: ModelDescription,
): FittingRequest => {
  const byName = new Map(given.map(tensor => [tensor.name, tensor]))
  const inputs = ports.map(port => {
    const tensor = byName.get(port.name)
    if (tensor === undefined) {
      throw new InferenceError(
        'INPUT_MISSING',
        `The request has no input ${quote(port.name)}. The model takes ${describe(ports)}.`,
      )
    }
    byName.delete(port.name)
    checkInput(tensor, port)
    return tensor
  })
  const [unknown] = byName.keys()
  if (unknown !== undefined) {
    throw new InferenceError('INPUT_UNKNOWN', `The model has no input ${quote(unknown)}. It takes ${describe(ports)}.`)
  }
  const outputs = wanted.length === 0 ? offered.map(({ name }) => name) : wanted
  for (const name of outputs) {
    if (!offered.some(port => port.name === name)) {
      throw new InferenceError(
        'OUTPUT_UNKNOWN',
        `The model has no output ${quote(name)}. It gives ${describe(offered)}.`,
      )
    }
  }
  const rows = joinsFrom === undefined ? 0 : commonRows(inputs)
  return { inputs, outputs, rows, likeness: JSON.stringify([inputs.map(({ shape }) => shape.slice(1)), outputs]) }
}

const checkInput = ({ name, datatype, shape }: InferenceTensor, port: TensorPort): void => {
  if (datatype !== port.datatype) {
    throw new InferenceError('DATATYPE_MISMATCH', `Input ${quote(name)} is ${port.datatype}, not ${datatype}.`)
  }
  const fits =
    shape.length === port.shape.length &&
    shape.every((size, axis) => size > 0 && (port.shape[axis] === -1 || port.shape[axis] === size))
  if (fits) return
  throw new InferenceError(
    'SHAPE_MISMATCH',
    `Input ${quote(name)} has the shape [${shape.join()}], the model takes [${port.shape.join()}]; -1 is any size from 1.`,
  )
}

const commonRows = (inputs: readonly InferenceTensor[]): number => {
  const [rows = 0, ...others] = inputs.map(({ shape }) => shape[0] ?? 0)
  return others.every(other => other === rows) ? rows : 0
}

const describe = (ports: readonly TensorPort[]): string =>
  ports
    .slice(0, 8)
    .map(({ name, datatype, shape }) => `${quote(name)} (${datatype} [${shape.join()}])`)
    .join(', ')
