import type { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'

/** What is wrong with a model, and the options of this command that help. */
export const withOptions = ({ code, message }: OnnxModelError): string => {
  switch (code) {
    case 'INPUTS_UNSUPPORTED':
      return `${message} Here: --input name for the data, --input name=1 for each input that is to be filled.`
    case 'OUTPUTS_UNSUPPORTED':
      return `${message} Here: --output name.`
    default:
      return message
  }
}
