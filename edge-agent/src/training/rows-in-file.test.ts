import assert from 'node:assert/strict'
import { mkdtempDisposable, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { RowFileWriter } from '../data/rows/row-file-writer.ts'
import { type RowLayout, unchanged } from '../data/rows/row-layout.ts'
import { OnnxTrainer } from './onnx-trainer.ts'
import type { DataSource, TrainingJob } from './trainer.ts'

const examples = 403
const bytes = Uint8Array.from({ length: examples * 784 }, (_, index) => (index * 31) % 256)
const classes = Int32Array.from({ length: examples }, (_, row) => (row * 7) % 10)
const layout: RowLayout = {
  stored: 'u8',
  features: 784,
  labels: 1,
  labelDtype: 'i32',
  affine: { ...unchanged, scale: 255 },
}
const order = Int32Array.from({ length: examples }, (_, row) => (row * 5) % examples)
const model = readModel(mcmahan2nn(1), { maxBytes: 1e8 })
const weights = new Float32Array(Buffer.concat(extractWeights(model).tensors.map(({ bytes }) => bytes)).buffer.slice(0))
const loss = 'softmax-cross-entropy'

const job = (data: TrainingJob['data']): TrainingJob => ({
  graph: writeModel(withoutWeights(model)),
  weights,
  data,
  settings: { localEpochs: 1, batchSize: 10, learningRate: 0.1, optimizer: 'sgd', loss },
  orders: [order],
})

const write = async (file: string, changes: Partial<RowLayout> = {}, labels = classes): Promise<DataSource> => {
  await using writer = await RowFileWriter.create(file, { layout: { ...layout, ...changes } })
  for (let row = 0; row < examples; row++) await writer.add(bytes, row * 784, labels, row)
  await writer.finish()
  return { examples, file, read: async () => assert.fail('the rows are read where they are used') }
}

suite('data in a file of rows', () => {
  let trainer: OnnxTrainer
  before(() => {
    trainer = new OnnxTrainer()
  })
  after(() => trainer[Symbol.asyncDispose]())

  test('training and evaluation give the same as from memory, to the byte', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'tributary-trainer-'))
    const stored = job(await write(join(folder.path, 'a.rows')))
    const held = job({ features: { bytes, scale: 255 }, labels: classes })
    const trained = await trainer.train(stored)
    assert.deepEqual(trained.weights, (await trainer.train(held)).weights)
    // Evaluated as the first job with this data, rows stay on disk; after training they are in memory.
    const other = await write(join(folder.path, 'b.rows'))
    const [first, ...others] = await Promise.all(
      [other, stored.data, held.data].map(data =>
        trainer.evaluate({ ...held, weights: trained.weights, data, loss }).then(({ seconds: _, ...found }) => found),
      ),
    )
    assert.deepEqual(others, [first, first])
  })

  test('rows that do not fit the model, or have a class that it does not know, are refused', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'tributary-trainer-'))
    const mismatch = { code: 'DATA_MISMATCH' }
    await assert.rejects(trainer.train(job(await write(join(folder.path, 'narrow.rows'), { features: 783 }))), mismatch)
    const eleventh = classes.with(400, 10)
    await assert.rejects(trainer.train(job(await write(join(folder.path, 'more.rows'), {}, eleventh))), mismatch)
  })

  test('a file that is gone fails the job, and serves the next one when it is there again', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'tributary-trainer-'))
    const [file, elsewhere] = [join(folder.path, 'a.rows'), join(folder.path, 'b.rows')]
    const stored = job(await write(file))
    await rename(file, elsewhere)
    await assert.rejects(trainer.train(stored), { code: 'DATA_MISMATCH' })
    await rename(elsewhere, file)
    assert.equal((await trainer.train(stored)).steps, 41)
  })
})
