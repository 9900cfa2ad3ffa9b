import { inputAt, intAttribute, type Node } from '../graph.ts'
import { unsupportedForm } from './window.ts'

/** Activations of each operator's gates, the only ones that are known. */
const activations: ReadonlyMap<string, readonly string[]> = new Map([
  ['GRU', ['Sigmoid', 'Tanh']],
  ['LSTM', ['Sigmoid', 'Tanh', 'Tanh']],
])

export const isRecurrent = ({ op }: Node): boolean => activations.has(op)

/** Throws OPERATOR_FORM_UNSUPPORTED for a recurrent node of a form whose gradient is not known. */
export const checkRecurrentForm = (node: Node): void => {
  const usual = activations.get(node.op) ?? []
  if (inputAt(node, 4) !== undefined) {
    unsupportedForm(node, 'sequence lengths', 'Pad all sequences to one length and leave the input sequence_lens out.')
  }
  if (inputAt(node, 7) !== undefined) unsupportedForm(node, 'peepholes', 'Use cells without peepholes.')
  for (const name of ['activations', 'activation_alpha', 'activation_beta', 'clip']) {
    if (node.attributes.has(name) && !isUsual(node, name, usual)) {
      unsupportedForm(node, name, `Use ${usual.join(', ')}.`)
    }
  }
  if (intAttribute(node, 'input_forget', 0) === 1) unsupportedForm(node, 'coupled gates', 'Set input_forget = 0.')
  if (intAttribute(node, 'layout', 0) === 1) unsupportedForm(node, 'layout 1', 'Transpose its inputs and use layout 0.')
}

const isUsual = (node: Node, name: string, usual: readonly string[]): boolean => {
  const attribute = node.attributes.get(name)
  if (attribute === undefined || name !== 'activations' || !('strings' in attribute)) return false
  return attribute.strings.every((value, index) => value === usual[index % usual.length])
}
