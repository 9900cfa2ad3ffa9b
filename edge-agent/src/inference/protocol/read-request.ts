import { InferenceError } from '../inference-error.ts'
import type { InferenceRequest } from '../request-queue.ts'
import { parseBounded } from './bounded-json.ts'
import { isObject, readName } from './json-values.ts'
import { BinaryData, readTensor } from './read-tensor.ts'

const mostTensors = 64
const mostIdCharacters = 256

export type ProtocolRequest = InferenceRequest & {
  readonly id: string | undefined
  /** Whether an output goes out as binary data instead of JSON. */
  readonly isBinary: (output: string) => boolean
}

/**
 * Reads the body of an inference request: JSON, or JSON and the bytes of tensors one after the other.
 * @param jsonBytes length of the JSON, as Inference-Header-Content-Length says; undefined where all is JSON
 * @throws InferenceError MALFORMED, DATATYPE_UNSUPPORTED, DATATYPE_MISMATCH, SHAPE_MISMATCH, naming the tensor
 */
export const readRequest = (body: Uint8Array, jsonBytes?: number): ProtocolRequest => {
  if (jsonBytes !== undefined && jsonBytes > body.length) {
    throw malformed(`Inference-Header-Content-Length says ${jsonBytes} bytes, the body has ${body.length}`)
  }
  const json = parse(body.subarray(0, jsonBytes))
  const binary = new BinaryData(body.subarray(jsonBytes ?? body.length))
  const { id, outputs, parameters } = json
  if (id !== undefined && (typeof id !== 'string' || id.length > mostIdCharacters)) {
    throw malformed(`"id" must be a text of at most ${mostIdCharacters} characters`)
  }
  const inputs = listOf(json.inputs, 'inputs').map(input => readTensor(input, binary))
  refuseTwice(
    inputs.map(({ name }) => name),
    'inputs',
  )
  binary.expectEnd()
  const wanted = outputs === undefined ? [] : listOf(outputs, 'outputs').map(readWanted)
  refuseTwice(
    wanted.map(({ name }) => name),
    'outputs',
  )
  const all = isObject(parameters) && parameters.binary_data_output === true
  const choices = new Map(wanted.map(({ name, binary }) => [name, binary]))
  return { id, inputs, outputs: [...choices.keys()], isBinary: output => choices.get(output) ?? all }
}

type Wanted = { readonly name: string; readonly binary: boolean | undefined }

const readWanted = (value: unknown): Wanted => {
  if (!isObject(value)) throw malformed('every one of "outputs" must be an object with a "name"')
  const { parameters } = value
  const binary = isObject(parameters) ? parameters.binary_data : undefined
  if (binary !== undefined && typeof binary !== 'boolean') throw malformed('"binary_data" must be true or false')
  if (isObject(parameters) && parameters.classification !== undefined) {
    throw malformed('"classification" is not offered; take the largest outputs yourself')
  }
  return { name: readName(value.name), binary }
}

const parse = (bytes: Uint8Array): Readonly<Record<string, unknown>> => {
  const json = parseBounded(bytes)
  if (isObject(json)) return json
  throw malformed('it must be an object with "inputs"')
}

const listOf = (value: unknown, key: string): readonly unknown[] => {
  if (Array.isArray(value) && value.length <= mostTensors) return value
  throw malformed(`"${key}" must be a list of at most ${mostTensors} tensors`)
}

const refuseTwice = (names: readonly string[], key: string): void => {
  if (new Set(names).size !== names.length) throw malformed(`"${key}" names a tensor twice`)
}

const malformed = (what: string): InferenceError =>
  new InferenceError('MALFORMED', `The request is not one of the Open Inference Protocol: ${what}.`)
