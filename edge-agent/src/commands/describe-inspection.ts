import type { Inspection } from '@tributary/onnx-train/inspect/inspect-model'
import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { table } from './output.ts'
import { withOptions } from './with-options.ts'

const shapeOf = (shape: readonly (string | number)[]): string => `[${shape.join(', ')}]`

/** Parameters shown one by one; a large model has hundreds. */
const mostParameters = 60

/** An inspection as text. Names come from a file and are shown without control characters. */
export const describeInspection = (inspection: Inspection, name: string, bytes: number): string => {
  const { inputs, outputs, operators, faults, training, opset, irVersion, nodes, producer } = inspection
  const from = producer === '' ? '' : `, by ${producer}`
  const sections = [
    `${name}: ${bytes} bytes, opset ${opset}, IR ${irVersion}, ${nodes} nodes${from}\n`,
    heading('Inputs') + table(inputs.map(({ name, dtype, shape }) => [name, dtype, shapeOf(shape)])),
    heading('Outputs') + table(outputs.map(({ name, dtype, shape }) => [name, dtype, shapeOf(shape)])),
    describeParameters(inspection),
    heading('Operators') + table(operators.map(({ op, count, gradient }) => [op, count, gradients[gradient]])),
    ...(faults.length === 0 ? [] : [heading('Warnings') + faults.map(({ message }) => `  - ${message}\n`).join('')]),
    training instanceof OnnxModelError
      ? `\nThis model cannot be trained so: ${withOptions(training)}\n`
      : `\n${describeTraining(training)}\n`,
  ]
  return printable(sections.join(''))
}

const heading = (title: string): string => `\n${title}\n`

const gradients = {
  passes: 'gradient passes',
  'not needed': 'no gradient needed',
  unknown: 'no gradient known',
} as const

const describeParameters = ({ parameters, constants }: Inspection): string => {
  const total = parameters.reduce((sum, { elements }) => sum + elements, 0)
  const trained = parameters.filter(({ role }) => role === 'trains').reduce((sum, { elements }) => sum + elements, 0)
  const rows = parameters
    .slice(0, mostParameters)
    .map(({ name, dtype, shape, elements, role }) => [name, dtype, shapeOf(shape), elements, role])
  const more = parameters.length - rows.length
  const rest = more > 0 ? `  and ${more} more\n` : ''
  const title = `Parameters: ${parameters.length} tensors, ${total} values, ${trained} of them train; ${constants} float constants`
  return heading(title) + table(rows) + rest
}

const describeTraining = (training: Exclude<Inspection['training'], OnnxModelError>): string => {
  const { label, exampleShape, featuresDtype, classes, model } = training
  const labels = label.kind === 'class-index' ? `classes 0 to ${classes - 1}` : `${label.kind} numbers`
  const positions = label.shape.length === 0 ? '' : ` of shape ${shapeOf(label.shape)}`
  return [
    `It trains. An example is ${featuresDtype} ${shapeOf(exampleShape)}, its label ${labels}${positions};`,
    `the train step is a graph of ${model.length} bytes.`,
  ].join(' ')
}

/** Control characters could move the cursor of whoever looks at a stranger's model. */
const printable = (text: string): string => text.replace(/[^\P{Cc}\n]/gu, '?')
