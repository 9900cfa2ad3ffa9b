import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { pytorchPython, tensorflowPython } from '@tributary/local-stack/testing/framework-python'
import { ensurePython, hasPython } from '@tributary/local-stack/testing/python'
import { deriveManifest } from '@tributary/tensors/derive-manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import type { Tensor } from '@tributary/tensors/tensor'
import { bytesOf } from '@tributary/tensors/view'
import { temporaryFolder } from '../testing/federation.ts'
import { workerExamples, workerSource, workerTests } from '../testing/python-code.ts'
import { digitsAndTrainer } from '../testing/python-job.ts'
import { runProgram } from '../testing/run-program.ts'
import { withPython } from '../testing/with-python.ts'
import { baseFile } from './python-trainers.ts'

const never = new AbortController().signal

/** Small numbers that follow from their position; ones for what scales. */
const tensor = (name: string, shape: readonly number[], fill?: number): Tensor => {
  const length = shape.reduce((product, size) => product * size, 1)
  const values = Float32Array.from({ length }, (_, index) => fill ?? 0.05 * Math.sin(12.9898 * index))
  return { name, dtype: 'F32', shape, bytes: bytesOf(values) }
}

const counter: Tensor = { name: 'norm.num_batches_tracked', dtype: 'I64', shape: [], bytes: new Uint8Array(8) }
const network = [
  tensor('conv.weight', [8, 1, 5, 5]),
  tensor('conv.bias', [8], 0),
  tensor('norm.weight', [8], 1),
  tensor('norm.bias', [8], 0),
  tensor('norm.running_mean', [8], 0),
  tensor('norm.running_var', [8], 1),
  counter,
  tensor('fc.weight', [10, 1568]),
  tensor('fc.bias', [10], 0),
]
const perceptron = [
  tensor('coefs_.0', [784, 50]),
  tensor('coefs_.1', [50, 10]),
  tensor('intercepts_.0', [50], 0),
  tensor('intercepts_.1', [10], 0),
]
const linear = [tensor('coef_', [10, 784], 0), tensor('intercept_', [10], 0)]

const examples: [string, () => Promise<string | undefined>, string, string, readonly Tensor[], number][] = [
  ['pytorch', pytorchPython, 'PyTorch', 'mnist_after:trainer', network, 0.05],
  ['sklearn', tensorflowPython, 'scikit-learn', 'mnist_sklearn:perceptron', perceptron, 0.3],
  ['sklearn', tensorflowPython, 'scikit-learn', 'mnist_sklearn:linear', linear, 0.001],
]

suite('examples of trainers', () => {
  for (const [framework, find, what, trainer, tensors, learningRate] of examples) {
    test(
      `${trainer} learns digits`,
      withPython(what, find, async python => {
        await using folder = await temporaryFolder()
        const { data, trainers } = await digitsAndTrainer(folder.path, 500, { framework, python, trainer })
        const manifest = deriveManifest(tensors, { loss: 'softmax-cross-entropy', labelKind: 'class-index' })
        const settings = {
          framework: framework as 'pytorch',
          trainer: 'here',
          localEpochs: 2,
          batchSize: 10,
          learningRate,
          optimizer: 'sgd',
          loss: 'softmax-cross-entropy',
        } as const
        const attempt = { task: '0190b5a0-0000-7000-8000-0000000000f1', round: 1, attempt: 1 }
        await using job = await trainers.newJob()
        await writeFile(job.file(baseFile), encodeSafetensors(tensors))
        const training = { settings, manifest, folder: job, data, attempt, seed: new Uint8Array(32).fill(1) }
        const trained = await trainers.train(training, { signal: never })
        assert.deepEqual([trained.steps, trained.examples], [100, 500])
        await using second = await trainers.newJob()
        await writeFile(second.file(baseFile), await readFile(trained.weights))
        const metrics = ['f1', 'confusion', 'top-5']
        const evaluation = { ...training, folder: second, task: attempt.task, metrics }
        const found = await trainers.evaluate(evaluation, { signal: never })
        const right = Array.from({ length: 10 }, (_, label) => Number(found.sums[`confusion_${label}_${label}`]))
        assert.equal(
          right.reduce((sum, count) => sum + count),
          found.correct,
        )
        assert.ok(Number(found.sums.top5_correct) > 450, `${found.sums.top5_correct} of 500 in the first five`)
        // One in ten by chance.
        assert.ok((found.correct ?? 0) > 350, `${found.correct} of 500`)
      }),
    )
  }

  test('a PyTorch script becomes a federated one in fewer than fifteen changed lines', async () => {
    const [before, after] = await Promise.all(
      ['mnist_before.py', 'mnist_after.py'].map(async name =>
        (await readFile(join(workerExamples, name), 'utf8')).split('\n'),
      ),
    )
    const left = [...(before ?? [])]
    const added = (after ?? []).filter(line => {
      const at = left.indexOf(line)
      if (at !== -1) left.splice(at, 1)
      return at === -1
    })
    assert.ok(added.length + left.length < 15, `${added.length} lines are new, ${left.length} are gone`)
    const guide = await readFile(new URL('../../../docs/python-worker.md', import.meta.url), 'utf8')
    for (const line of added.filter(text => text !== '' && !text.startsWith('"""'))) {
      assert.ok(guide.includes(`+${line}`), `docs/python-worker.md shows: ${line}`)
    }
  })
})

suite('tests of the Python package', () => {
  const suites: [string, () => Promise<string | undefined>, readonly string[]][] = [
    [
      'NumPy',
      async () => ((await hasPython()) ? ensurePython() : undefined),
      ['test_losses', 'test_rows', 'test_weights', 'test_worker'],
    ],
    ['PyTorch', pytorchPython, ['test_pytorch']],
    ['TensorFlow', tensorflowPython, ['test_keras', 'test_sklearn']],
  ]
  for (const [what, find, modules] of suites) {
    test(
      `${modules.join(', ')} pass with ${what}`,
      withPython(what, find, async python => {
        const env = {
          PATH: '/usr/bin:/bin',
          PYTHONPATH: `${workerSource}:${workerTests}`,
          PYTHONDONTWRITEBYTECODE: '1',
        }
        const { code, output } = await runProgram(python, ['-m', 'unittest', ...modules], env)
        assert.equal(code, 0, output)
        assert.match(output, /\nRan [1-9]\d* tests? in .*\n\nOK\n/)
      }),
    )
  }
})
