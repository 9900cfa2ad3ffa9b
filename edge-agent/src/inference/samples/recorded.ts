import { ModelError } from '../../agent/job/work.ts'
import { DataError } from '../../data/data-error.ts'
import { checkRequest } from '../check-request.ts'
import { viewOf } from '../datatype.ts'
import { InferenceError } from '../inference-error.ts'
import type { ModelProcess } from '../model-process.ts'
import { isObject } from '../protocol/json-values.ts'
import { BinaryData, readTensor } from '../protocol/read-tensor.ts'
import type { InferenceTensor } from '../tensor.ts'
import { largestOf } from './dataset-rows.ts'

const mostSamples = 1000

type Recorded = { readonly inputs: readonly InferenceTensor[]; readonly outputs: readonly InferenceTensor[] }

/**
 * Runs a version on requests that the owner recorded: a JSON list of `{ "inputs": [tensor…], "outputs": [tensor…] }`, tensors as in the
 * Open Inference Protocol, outputs where they are to be compared.
 * @returns the share of rows of recorded outputs that agree; undefined where none are recorded
 * @throws DataError where the file is not one, ModelError where a sample is refused or numbers are not finite
 */
export const checkRecorded = async (
  process: ModelProcess,
  file: Uint8Array,
  { file: name, tolerance }: { readonly file: string; readonly tolerance?: number | undefined },
): Promise<number | undefined> => {
  let rows = 0
  let agreeing = 0
  for (const [index, sample] of readRecorded(file, name).entries()) {
    const outputs = await run(process, sample, index)
    for (const expected of sample.outputs) {
      const found = outputs.find(output => output.name === expected.name)
      const count = expected.shape[0] ?? 1
      rows += count
      if (found !== undefined) agreeing += agreeingRows(found, expected, count, tolerance)
    }
  }
  return rows === 0 ? undefined : agreeing / rows
}

const run = async (
  process: ModelProcess,
  { inputs, outputs }: Recorded,
  index: number,
): Promise<readonly InferenceTensor[]> => {
  try {
    const request = checkRequest({ inputs, outputs: outputs.map(output => output.name) }, process.description)
    const ran = await process.run([request.inputs], request.outputs)
    if (ran.finite) return ran.outputs
  } catch (error) {
    if (!(error instanceof InferenceError)) throw error
    throw new ModelError(`The model does not take recorded sample ${index} of the device (${error.code}).`, {
      cause: error,
    })
  }
  throw new ModelError("The model gives numbers that are not finite for the device's own samples.")
}

const agreeingRows = (
  found: InferenceTensor,
  expected: InferenceTensor,
  rows: number,
  tolerance: number | undefined,
): number => {
  if (found.datatype !== expected.datatype || found.shape.join() !== expected.shape.join()) return 0
  let agreeing = 0
  for (let row = 0; row < rows; row++) {
    const agrees =
      tolerance === undefined
        ? largestOf(found, row, rows) === largestOf(expected, row, rows)
        : isNear(found, expected, row, rows, tolerance)
    if (agrees) agreeing++
  }
  return agreeing
}

const isNear = (
  found: InferenceTensor,
  expected: InferenceTensor,
  row: number,
  rows: number,
  tolerance: number,
): boolean => {
  const [a, b] = [viewOf(found.datatype, found.bytes), viewOf(expected.datatype, expected.bytes)]
  const width = a.length / rows
  for (let at = row * width; at < (row + 1) * width; at++) {
    if (Math.abs(Number(a[at]) - Number(b[at])) > tolerance) return false
  }
  return true
}

const readRecorded = (file: Uint8Array, name: string): Recorded[] => {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(file))
    if (!Array.isArray(json) || json.length === 0 || json.length > mostSamples) {
      throw new Error(`it must be a list of 1 to ${mostSamples} samples`)
    }
    return json.map(readSample)
  } catch (cause) {
    throw new DataError('FEATURES_UNUSABLE', `${name} holds no recorded samples: ${(cause as Error).message}`, {
      cause,
    })
  }
}

const readSample = (value: unknown): Recorded => {
  const { inputs, outputs = [] } = isObject(value) ? value : {}
  if (!Array.isArray(inputs) || !Array.isArray(outputs))
    throw new Error('every sample has lists "inputs" and "outputs"')
  const tensor = (each: unknown): InferenceTensor => readTensor(each, new BinaryData(new Uint8Array()))
  return { inputs: inputs.map(tensor), outputs: outputs.map(tensor) }
}
