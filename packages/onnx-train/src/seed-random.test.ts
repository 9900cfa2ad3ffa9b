import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileTraining } from './compile-training.ts'
import { modelOf, node, randomTensor } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'
import { runCompiled } from './testing/run-compiled.ts'

const ratio = { dtype: 'float32', shape: [], data: Float32Array.of(0.5) } as const
const training = { dtype: 'bool', shape: [], data: Uint8Array.of(1) } as const
const w = randomTensor('float32', [8, 3], 1)

const trained = async (seed: number, form: 'loop' | 'step'): Promise<unknown> => {
  const model = modelOf('float32', [8], { w, ratio, training }, [
    node('Dropout', ['x', 'ratio', 'training'], 'd'),
    node('MatMul', ['d', 'w'], 'y'),
  ])
  const compiled = await compileTraining(
    model,
    { loss: 'softmax-cross-entropy', optimizer: 'sgd', form, seed },
    ortRunner,
  )
  assert.equal(compiled.random, true)
  const { parameters } = await runCompiled(compiled, {
    parameters: { w: w.data },
    features: randomTensor('float32', [4, 8], 2).data,
    labels: Int32Array.of(0, 1, 2, 0),
    learningRate: 0.5,
    ...(form === 'loop' ? { order: { steps: 3, rows: Int32Array.of(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3) } } : {}),
  })
  return parameters.w
}

test('the same seed drops the same values in a new session, another seed others', async () => {
  for (const form of ['loop', 'step'] as const) {
    const first = await trained(7, form)
    assert.deepEqual(await trained(7, form), first)
    assert.notDeepEqual(await trained(8, form), first)
  }
})

test('each step drops other values', async () => {
  const model = modelOf('float32', [64], { w: randomTensor('float32', [64, 2], 1), ratio, training }, [
    node('Dropout', ['x', 'ratio', 'training'], 'd'),
    node('MatMul', ['d', 'w'], 'y'),
  ])
  const options = { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'loop' } as const
  const { losses } = await runCompiled(await compileTraining(model, options, ortRunner), {
    parameters: { w: randomTensor('float32', [64, 2], 1).data },
    features: randomTensor('float32', [1, 64], 2).data,
    labels: Int32Array.of(1),
    // Nothing is learnt: only the masks tell the steps apart.
    learningRate: 0,
    order: { steps: 8, rows: new Int32Array(8) },
  })
  assert.equal(new Set(losses).size, 8)
})
