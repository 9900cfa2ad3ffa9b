import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { getPriority } from 'node:os'
import { suite, test } from 'node:test'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { childrenOf, hasRuntime, until } from '../testing/child-processes.ts'
import { OnnxTrainer } from './onnx-trainer.ts'
import type { TrainingJob } from './trainer.ts'

const model = readModel(mcmahan2nn(1), { maxBytes: 1e8 })
const weights = new Float32Array(Buffer.concat(extractWeights(model).tensors.map(({ bytes }) => bytes)).buffer.slice(0))
const examples = 100
const order = Int32Array.from({ length: examples }, (_, row) => row)

const job = (localEpochs = 1): TrainingJob => ({
  graph: writeModel(withoutWeights(model)),
  weights,
  data: {
    features: Float32Array.from({ length: examples * 784 }, (_, index) => (index % 7) / 7),
    labels: order.map(row => row % 10),
  },
  settings: { localEpochs, batchSize: 10, learningRate: 0.1, optimizer: 'sgd', loss: 'softmax-cross-entropy' },
  orders: Array.from({ length: localEpochs }, () => order),
})

const noProc = existsSync('/proc/self/status') ? false : 'only Linux tells the memory of a process'

/** Far more than any test waits for. */
const endless = job(3_000)

const theChild = (): number => {
  const children = childrenOf(process.pid)
  assert.equal(children.length, 1)
  return children[0] as number
}
const untilGone = (): Promise<void> => until('the end of the process', () => childrenOf(process.pid).length === 0)

suite('the process that trains', () => {
  test('it alone loads the runtime, and it ends when no job comes', async () => {
    await using trainer = new OnnxTrainer({ idleSeconds: 0.3 })
    const first = await trainer.train(job())
    assert.equal(hasRuntime(theChild()), true)
    await untilGone()
    assert.equal(hasRuntime('self'), false)
    const second = await trainer.train(job())
    assert.deepEqual(second.weights, first.weights)
    // The runtime sees to that in the thread of a process's first session: every new process has it.
    assert.deepEqual([first.flushToZero, second.flushToZero], [true, true])
  })

  test('it gives way as its owner says, and ends where it takes more memory than allowed', {
    skip: noProc,
  }, async () => {
    let limits = { nice: 7, memoryBytes: 2 ** 34 }
    await using trainer = new OnnxTrainer({ idleSeconds: 600, limits: () => limits })
    await trainer.train(job())
    assert.equal(getPriority(theChild()), 7)
    // Less than any process has.
    limits = { nice: 7, memoryBytes: 2 ** 20 }
    await assert.rejects(trainer.train(endless), { code: 'MEMORY_LIMIT' })
    await untilGone()
  })

  test('one job after another finds the same process', async () => {
    await using trainer = new OnnxTrainer({ idleSeconds: 600 })
    await trainer.train(job())
    const pid = theChild()
    await trainer.evaluate({ ...job(), loss: 'softmax-cross-entropy' })
    await trainer.train(job())
    assert.equal(theChild(), pid)
  })

  test('where memory is short it does not wait for a next job', async () => {
    await using trainer = new OnnxTrainer({ idleSeconds: 600, leastFreeBytes: 2 ** 60 })
    await trainer.train(job())
    await untilGone()
  })

  test('an abort of the runtime ends its job and nothing else, and the next job gets a new process', async () => {
    await using trainer = new OnnxTrainer()
    const expected = await trainer.train(job())
    const pid = theChild()
    let sent = false
    const onProgress = () => {
      if (!sent) process.kill(pid, 'SIGABRT')
      sent = true
    }
    await assert.rejects(trainer.train(endless, { onProgress }), { code: 'CRASHED', message: /SIGABRT/ })
    assert.deepEqual((await trainer.train(job())).weights, expected.weights)
    assert.notEqual(theChild(), pid)
  })

  test('the last words of a process that aborts are kept for the log', async () => {
    const workerUrl = new URL('../testing/aborting-worker.ts', import.meta.url)
    await using trainer = new OnnxTrainer({ workerUrl })
    for (const _ of [1, 2]) {
      await assert.rejects(trainer.train(job()), (error: Error) => {
        assert.match(error.message, /SIGABRT/)
        assert.match((error.cause as Error).message, /operator Bad is broken/)
        return true
      })
    }
  })

  test('one that the kernel kills is said to be out of memory', async () => {
    await using trainer = new OnnxTrainer()
    const onProgress = () => void process.kill(theChild(), 'SIGKILL')
    await assert.rejects(trainer.train(endless, { onProgress }), { code: 'CRASHED', message: /out of memory/ })
  })

  test('one that goes on after its job was cancelled is ended, and the job rejects with the reason', async () => {
    await using trainer = new OnnxTrainer({ cancelSeconds: 0.1 })
    const controller = new AbortController()
    const onProgress = () => {
      process.kill(theChild(), 'SIGSTOP')
      controller.abort(new Error('the round was cancelled'))
    }
    await assert.rejects(trainer.train(endless, { onProgress, signal: controller.signal }), /the round was cancelled/)
    await untilGone()
    assert.equal((await trainer.train(job())).steps, 10)
  })

  test('one that shows no sign of life is ended', async () => {
    await using trainer = new OnnxTrainer({ stallSeconds: 1 })
    await trainer.train(job())
    const onProgress = () => void process.kill(theChild(), 'SIGSTOP')
    await assert.rejects(trainer.train(endless, { onProgress }), { code: 'STALLED' })
    await untilGone()
  })

  test('closing the trainer ends it in the middle of a job', async () => {
    const trainer = new OnnxTrainer()
    const training = trainer.train(endless, { onProgress: () => void trainer[Symbol.asyncDispose]() })
    await assert.rejects(training, { code: 'DISPOSED' })
    await untilGone()
  })
})
