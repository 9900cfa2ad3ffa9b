import { fromHalf, viewOf } from '../datatype.ts'
import { allFinite } from '../finite.ts'
import { InferenceError, quote } from '../inference-error.ts'
import type { InferenceTensor } from '../tensor.ts'

export type ResponseHead = {
  readonly modelName: string
  readonly modelVersion: string
  readonly id: string | undefined
}

/** A body: its parts one after the other, and how long the JSON is where bytes of tensors follow. */
export type ResponseBody = { readonly parts: readonly Uint8Array[]; readonly jsonBytes: number | undefined }

/**
 * The body of an inference response.
 * @throws InferenceError NOT_FINITE where numbers should go out as JSON that has no form for them
 */
export const writeResponse = (
  { modelName, modelVersion, id }: ResponseHead,
  outputs: readonly InferenceTensor[],
  isBinary: (output: string) => boolean,
): ResponseBody => {
  const binary = outputs.filter(({ name }) => isBinary(name))
  const head = { model_name: modelName, model_version: modelVersion, ...(id === undefined ? {} : { id }) }
  const tensors = outputs.map(tensor => tensorJson(tensor, isBinary(tensor.name)))
  const json = Buffer.from(`${JSON.stringify(head).slice(0, -1)},"outputs":[${tensors.join()}]}`)
  return {
    parts: [json, ...binary.map(({ bytes }) => bytes)],
    jsonBytes: binary.length === 0 ? undefined : json.length,
  }
}

/** An output as JSON text, its data in it or, as binary data, only its size. */
export const tensorJson = (tensor: InferenceTensor, isBinary: boolean): string => {
  const { name, datatype, shape, bytes } = tensor
  const head = JSON.stringify({ name, datatype, shape }).slice(0, -1)
  if (isBinary) return `${head},"parameters":{"binary_data_size":${bytes.length}}}`
  if (!allFinite([tensor])) {
    throw new InferenceError(
      'NOT_FINITE',
      `Output ${quote(name)} holds numbers that are not finite, for which JSON has no form. Ask for it with "binary_data": true.`,
    )
  }
  return `${head},"data":[${dataText(tensor)}]}`
}

/** Numbers as JSON writes them: the shortest text that reads as the same float64, all digits of an integer. */
const dataText = ({ datatype, bytes }: InferenceTensor): string => {
  const array = viewOf(datatype, bytes)
  if (datatype === 'BOOL') return Array.from(array as Uint8Array, value => value !== 0).join()
  if (datatype === 'FP16') return Array.from(array as Uint16Array, fromHalf).join()
  return array.join()
}
