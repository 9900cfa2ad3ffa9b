import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixInputs } from './fix-inputs.ts'
import type { ValueDeclaration } from './graph.ts'
import { modelFromGraph } from './graph-to-proto.ts'
import { OnnxModelError } from './onnx-model-error.ts'
import { parametersOf } from './parameters.ts'
import { readModel } from './read-model.ts'
import type { Tensor } from './tensor.ts'
import { node, randomTensor } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'
import { writeModel } from './write-model.ts'

const weights = randomTensor('float32', [2, 3], 1)

/** logits = ((values · mask) + cast(shift)) W, with a mask of the batch's size and a shift of a fixed one. */
const bytes = (mask: ValueDeclaration['shape'] = ['n', 2]): Uint8Array =>
  writeModel(
    modelFromGraph(
      {
        name: 'masked',
        inputs: [
          { name: 'mask', dtype: 'float32', shape: mask },
          { name: 'values', dtype: 'float32', shape: ['batch', 2] },
          { name: 'shift', dtype: 'int64', shape: [1] },
        ],
        outputs: [{ name: 'logits', dtype: 'float32', shape: ['batch', 3] }],
        constants: new Map([['w', weights]]),
        nodes: [
          node('Mul', ['values', 'mask'], 'masked'),
          node('Cast', ['shift'], 'floating', { to: { int: 1 } }),
          node('Add', ['masked', 'floating'], 'shifted'),
          node('MatMul', ['shifted', 'w'], 'logits'),
        ],
      },
      17,
    ),
  )
const read = (file = bytes()) => readModel(file, { maxBytes: 1e6 })
const values: Tensor = { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, -2, 3, 4) }

test('a model with filled inputs computes what the whole one does when it is fed the same numbers', async () => {
  const fixed = fixInputs(read(), {
    data: 'values',
    constants: new Map([
      ['mask', 0.5],
      ['shift', 2],
    ]),
  })
  const found = await ortRunner(writeModel(fixed), new Map([['values', values]]), ['logits'])
  const fed = new Map<string, Tensor>([
    ['values', values],
    ['mask', { dtype: 'float32', shape: [2, 2], data: new Float32Array(4).fill(0.5) }],
    ['shift', { dtype: 'int64', shape: [1], data: BigInt64Array.of(2n) }],
  ])
  assert.deepEqual(found.get('logits'), (await ortRunner(bytes(), fed, ['logits'])).get('logits'))
  assert.deepEqual(
    parametersOf(read(writeModel(fixed))).map(({ name }) => name),
    ['w'],
  )
})

test('the data is the one input that is not filled', () => {
  const fixed = fixInputs(read(), {
    constants: new Map([
      ['mask', 1],
      ['shift', 0],
    ]),
  })
  assert.deepEqual(
    fixed.graph?.input.map(({ name }) => name),
    ['values'],
  )
})

test('what is not decided, or cannot be filled, is refused with the name of the input', () => {
  const refuses = (choice: Parameters<typeof fixInputs>[1], message: RegExp, file = bytes()): void => {
    assert.throws(
      () => fixInputs(read(file), choice),
      error => error instanceof OnnxModelError && error.code === 'INPUTS_UNSUPPORTED' && message.test(error.message),
    )
  }
  refuses({ data: 'values' }, /3 inputs \(mask, values, shift\), of which 3 hold no constant/)
  refuses({ data: 'values', constants: new Map([['mask', 1]]) }, /of which 2 hold no constant/)
  refuses(
    {
      data: 'mask',
      constants: new Map([
        ['mask', 1],
        ['shift', 1],
      ]),
    },
    /of which 1 hold no constant/,
  )
  refuses({ data: 'nobody' }, /no input "nobody"\. Its inputs are mask, values, shift/)
  refuses({ constants: new Map([['w', 1]]) }, /no input "w"/)
  refuses(
    {
      constants: new Map([
        ['mask', 1],
        ['shift', 0.5],
      ]),
    },
    /Input "shift" is int64, not 0\.5/,
  )
  const dynamic = bytes(['n', 'length'])
  refuses(
    {
      constants: new Map([
        ['mask', 1],
        ['shift', 0],
      ]),
    },
    /Axis 1 of input "mask" is dynamic/,
    dynamic,
  )
})
