import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ensurePython, hasPython } from '@tributary/local-stack/testing/python'
import type { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf } from '@tributary/tensors/view'
import { pino } from 'pino'
import { LocalTensors } from '../state/local-tensors.ts'
import { temporaryFolder } from '../testing/federation.ts'
import { workerSource } from '../testing/python-code.ts'
import { digitsAndTrainer } from '../testing/python-job.ts'
import { withPython } from '../testing/with-python.ts'
import { baseFile, PythonTrainers } from './python-trainers.ts'

/** Tells the weights that it was given, and what it was asked for. */
const telling = `
from tributary_worker import EvaluateResult

class Telling:
    def load(self, weights, task):
        self.weights = weights
    def train(self, task): ...
    def evaluate(self, task):
        sums = {name: int(value[0]) for name, value in self.weights.items()}
        return EvaluateResult(len(task.data), 0.0, None, sums={**sums, "asked": len(task.metrics), "huge": -2**63})
`

const one = (value: number) => ({ dtype: 'F32', shape: [1], bytes: bytesOf(Float32Array.of(value)) }) as const
const manifest = (policy: 'average' | 'keep-local'): Manifest => ({
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'shared', dtype: 'F32', shape: [1], policy: 'average' },
    { name: 'own', dtype: 'F32', shape: [1], policy },
  ],
  inputs: [],
  outputs: [],
  loss: 'mean-squared-error',
  labelKind: 'class-index',
})

test(
  'a Python trainer evaluates this device’s own values of what its task keeps local, and its sums come through whole',
  withPython(
    'venv',
    async () => ((await hasPython()) ? ensurePython() : undefined),
    async python => {
      await using folder = await temporaryFolder()
      await writeFile(join(folder.path, 'telling.py'), telling)
      const installed = { framework: 'sklearn', python, trainer: 'telling:Telling' }
      const { data } = await digitsAndTrainer(folder.path, 5, installed)
      const here = { name: 'here', ...installed, path: [workerSource, '.'] }
      await writeFile(join(folder.path, 'trainers.json'), JSON.stringify({ trainers: [here] }))
      const [task, stranger] = ['0190b5a0-0000-7000-8000-0000000000f1', '0190b5a0-0000-7000-8000-0000000000f2']
      const local = await LocalTensors.open(join(folder.path, 'local'), 2 ** 20)
      const log = pino({ level: 'silent' })
      const trainers = await PythonTrainers.open({ dataDir: folder.path, folder: join(folder.path, 'py'), local, log })
      for (const round of [1, 2])
        await local.keep({ task, round }, encodeSafetensors([{ name: 'own', ...one(round * 10) }]))
      const evaluate = async (of: string, policy: 'average' | 'keep-local') => {
        await using job = await trainers.newJob()
        const weights = [
          { name: 'shared', ...one(1) },
          { name: 'own', ...one(2) },
        ]
        await writeFile(job.file(baseFile), encodeSafetensors(weights))
        const settings = { framework: 'sklearn', trainer: 'here', batchSize: 10, loss: 'mean-squared-error' } as const
        const work = { settings, manifest: manifest(policy), folder: job, data, task: of, metrics: ['rmse', 'r2'] }
        const { sums } = await trainers.evaluate(work, { signal: new AbortController().signal })
        assert.deepEqual([sums.shared, sums.asked, sums.huge], ['1', '2', String(-(2n ** 63n))])
        return sums.own
      }
      assert.equal(await evaluate(task, 'keep-local'), '20')
      assert.equal(await evaluate(stranger, 'keep-local'), '2')
      assert.equal(await evaluate(task, 'average'), '2')
    },
  ),
)
