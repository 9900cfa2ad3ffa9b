import { SeededRandom } from '@tributary/learning/seeded/random'
import { deriveSeed } from '@tributary/learning/seeded/seed'
import type { InferenceTensor, TensorPort } from '../tensor.ts'
import { tensorFromNumbers } from '../tensor-from-numbers.ts'

/** Seeded numbers for so many rows of every input; whole numbers are 0 to 9. */
export const filled = (inputs: readonly TensorPort[], rows: number): InferenceTensor[] => {
  const random = new SeededRandom(deriveSeed('inference', 'rows'))
  return inputs.map(port => {
    const shape = [rows, ...port.shape.slice(1)]
    const count = shape.reduce((product, size) => product * size, 1)
    const whole = !port.datatype.startsWith('FP')
    const draw = () => (whole ? Math.floor(Math.abs(random.normal()) * 3) % 10 : random.normal())
    return tensorFromNumbers(port, Array.from({ length: count }, draw), shape)
  })
}
