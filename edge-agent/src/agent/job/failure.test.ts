import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { DataError } from '../../data/data-error.ts'
import { WorkerError } from '../../python-worker/worker-error.ts'
import { TrainingDivergedError, TrainingError } from '../../training/training-error.ts'
import { CallError } from '../../transport/call-error.ts'
import { failureOf } from './failure.ts'
import { ModelError, WorkError } from './work.ts'

const secret = '/home/owner/scans/patient-7.idx'

suite('what leaves the device about work that failed', () => {
  const rows: [string, unknown, ReturnType<typeof failureOf>][] = [
    ['data', new DataError('IDX_MALFORMED', secret), { code: 'DATASET_UNUSABLE', detail: 'IDX_MALFORMED' }],
    [
      'a label that is none',
      new TrainingError('DATA_MISMATCH', `Label ${secret}`),
      { code: 'DATASET_UNUSABLE', detail: 'DATA_MISMATCH' },
    ],
    ['divergence', new TrainingDivergedError(7), { code: 'TRAINING_DIVERGED', detail: 'step 7' }],
    ['a crash', new TrainingError('CRASHED', secret), { code: 'TRAINING_FAILED', detail: 'CRASHED' }],
    [
      'a crash for lack of memory',
      new TrainingError('CRASHED', 'ended', {
        cause: Object.assign(new Error(secret), { code: 'ERR_WORKER_OUT_OF_MEMORY' }),
      }),
      { code: 'DEVICE_OUT_OF_MEMORY', detail: '' },
    ],
    [
      'an array too large',
      new RangeError('Array buffer allocation failed'),
      { code: 'DEVICE_OUT_OF_MEMORY', detail: '' },
    ],
    ['a model', new ModelError('no\n  graph'), { code: 'MODEL_UNSUPPORTED', detail: 'no graph' }],
    [
      'a graph',
      new OnnxModelError('OPERATOR_UNSUPPORTED', 'Loop is no operator here', 'Unroll it.'),
      { code: 'MODEL_UNSUPPORTED', detail: 'OPERATOR_UNSUPPORTED: Loop is no operator here. Unroll it.' },
    ],
    ['work', new WorkError('odd'), { code: 'WORK_UNSUPPORTED', detail: 'odd' }],
    ['a refused call', new CallError(secret, { status: 14, retryable: false }), undefined],
    [
      'an exception of training code',
      new WorkerError('TRAINER_FAILED', 'KeyError: 3', { logTail: 'Traceback\n  in train', sendLog: true }),
      { code: 'TRAINING_FAILED', detail: 'TRAINER_FAILED: KeyError: 3', logTail: 'Traceback\n  in train' },
    ],
    [
      'an exception whose log stays here',
      new WorkerError('TRAINER_FAILED', secret, { logTail: secret }),
      { code: 'TRAINING_FAILED', detail: 'TRAINER_FAILED' },
    ],
    [
      'too much memory',
      new WorkerError('MEMORY_LIMIT', secret, { logTail: secret }),
      { code: 'MEMORY_LIMIT', detail: '' },
    ],
    [
      'training code that diverged',
      new WorkerError('DIVERGED', '', { step: 7 }),
      { code: 'TRAINING_DIVERGED', detail: 'step 7' },
    ],
    ['a trainer that is closed', new TrainingError('DISPOSED', ''), undefined],
  ]
  for (const [what, error, expected] of rows) {
    test(`after ${what}: ${expected?.code ?? 'nothing'}`, () => assert.deepEqual(failureOf(error), expected))
  }

  test('a log goes out by its last lines, without paths and secrets', () => {
    const lines = Array.from({ length: 600 }, (_, index) => `step ${index}`)
    const logTail = [...lines, `  File "/home/owner/train.py", line 3`, `OSError: ${secret} f00dcafe`].join('\n')
    const error = new WorkerError('CRASHED', `at ${secret}`, { logTail, sendLog: true, secrets: ['f00dcafe'] })
    const { detail, logTail: sent = '' } = failureOf(error) ?? {}
    assert.equal(detail, 'CRASHED: at <path>')
    assert.match(sent, /^step \d+\n[\s\S]*\nstep 599\n {2}File "…\/train\.py", line 3\nOSError: <path> <secret>$/)
    assert.ok(Buffer.byteLength(sent) <= 4096)
    assert.ok(!JSON.stringify(error).includes('f00dcafe"]'), 'no log prints the secrets')
  })

  test('an error that nobody foresaw goes out with its trace, and the end of a process with its last words', () => {
    const file = failureOf(new Error(`ENOSPC: ${secret}`))
    assert.deepEqual([file?.code, file?.detail], ['TRAINING_FAILED', ''])
    assert.match(file?.logTail ?? '', /^Error: ENOSPC: <path>\n +at .*…\/failure\.test\.ts:\d+/)
    const abort = failureOf(new TrainingError('CRASHED', 'ended', { cause: new Error(`assertion in ${secret}`) }))
    assert.equal(abort?.logTail, 'assertion in <path>')
  })

  test('is at most 500 bytes, cut between characters', () => {
    assert.equal(failureOf(new WorkError(`a${'€'.repeat(400)}`))?.detail, `a${'€'.repeat(166)}`)
  })
})
