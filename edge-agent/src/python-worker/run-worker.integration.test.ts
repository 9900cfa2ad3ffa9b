import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ensurePython, hasPython } from '@tributary/local-stack/testing/python'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf } from '@tributary/tensors/view'
import { workerSource } from '../testing/python-code.ts'
import { withPython } from '../testing/with-python.ts'
import { runWorker, type WorkerLimits } from './run-worker.ts'
import { workerEnvironment } from './worker-environment.ts'
import type { WorkerError, WorkerErrorCode } from './worker-error.ts'
import type { WorkerOutcome } from './worker-lines.ts'

/** Trainers in plain NumPy, each with a fault of its own. */
const trainers = `
import os, subprocess, sys, time
import numpy as np
from tributary_worker import TrainResult

class Base:
    def load(self, weights, task):
        self.weights = {name: np.array(value) for name, value in weights.items()}
    def train(self, task):
        print("begin", flush=True)
        task.report(0, 10)
        self.work(task)
        return TrainResult({name: value + 1 for name, value in self.weights.items()}, 10, 4, 0.5)
    def work(self, task): pass
    def evaluate(self, task): raise NotImplementedError

class Good(Base): pass
class Crashing(Base):
    def work(self, task): os.abort()
class Leaving(Base):
    def work(self, task): os._exit(0)
class Killed(Base):
    def work(self, task): os.kill(os.getpid(), 9)
class Raising(Base):
    def work(self, task): raise ValueError("a row is broken")
class Endless(Base):
    def work(self, task):
        child = subprocess.Popen(["sleep", "600"])
        with open(os.environ["NOTES"], "w") as notes: notes.write(f"{os.getpid()} {child.pid}.")
        time.sleep(600)
class Busy(Base):
    def work(self, task):
        while True:
            task.report(1, 10)
            time.sleep(0.05)
class Growing(Base):
    def work(self, task):
        subprocess.run([sys.executable, "-c", "import numpy, time; a = numpy.ones(2**25); time.sleep(600)"])
class Hungry(Base):
    def work(self, task): np.ones(2**31)
class Spying(Base):
    def work(self, task): raise ValueError(" ".join(sorted(os.environ)) + f" stdin {sys.stdin.read()!r}")
class Loud(Base):
    def work(self, task):
        for _ in range(2000): print("x" * 1000)
        print("the last words", flush=True)
        raise ValueError("after much talk")
class Late(Base):
    def train(self, task):
        import threading
        threading.Thread(target=lambda: time.sleep(600)).start()
        return super().train(task)

def to_channel(data):
    class Garbage(Base):
        def work(self, task):
            os.write(3, data)
            time.sleep(600)
    return Garbage
NotJson = to_channel(b"hello\\n")
Unknown = to_channel(b'{"kind": "please-run", "command": "ls"}\\n')
Endless_line = to_channel(b"x" * 200000)
Negative = to_channel(b'{"kind": "trained", "examples": -1, "steps": 1, "meanLoss": 0, "seconds": 0}\\n')
`

/** Code that goes on for ever as it is imported, with a child of its own. */
const waiting = `
import os, subprocess, time
child = subprocess.Popen(["sleep", "600"])
with open(os.environ["NOTES"], "w") as notes: notes.write(f"{os.getpid()} {child.pid}.")
time.sleep(600)
`

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-worker-'))
  await writeFile(join(folder, 'faulty.py'), trainers)
})
after(() => rm(folder, { recursive: true, force: true }))

const generous: WorkerLimits = { memoryBytes: 2 ** 30, timeSeconds: 120, stallSeconds: 60 }

/** Whether a process runs; one that only waits to be collected does not. */
const runs = async (pid: string): Promise<boolean> =>
  !/^\d+ \(.*\) [ZX]/.test(await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '0 (gone) X'))

const untilGone = async (pids: readonly string[]): Promise<void> => {
  const deadline = Date.now() + 30_000
  for (const pid of pids) {
    while (await runs(pid)) {
      assert.ok(Date.now() < deadline, `process ${pid} is still there`)
      await delay(20)
    }
  }
}

/** Process ids that a trainer writes down once it has begun. */
const noted = async (file: string): Promise<string[]> => {
  const deadline = Date.now() + 60_000
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (text.endsWith('.')) return text.slice(0, -1).split(' ')
    assert.ok(Date.now() < deadline, 'the trainer did not begin')
    await delay(20)
  }
}

let jobs = 0
const run = async (
  python: string,
  name: string,
  limits: Partial<WorkerLimits> = {},
  more: { signal?: AbortSignal; onProgress?: () => void } = {},
): Promise<WorkerOutcome & { folder: string }> => {
  const job = join(folder, `job-${jobs++}`)
  await mkdir(job)
  const weights = { name: 'w', dtype: 'F32', shape: [2], bytes: bytesOf(Float32Array.of(1, 2)) } as const
  await writeFile(join(job, 'base'), encodeSafetensors([weights]))
  const memoryBytes = limits.memoryBytes ?? generous.memoryBytes
  const settings = { framework: 'sklearn', batchSize: 1, loss: 'mean-squared-error', localEpochs: 1 }
  const tensors = [{ name: 'w', dtype: 'F32', shape: [2], policy: 'average' }]
  const [base, result] = [join(job, 'base'), join(job, 'result')]
  const about = { kind: 'train', trainer: `faulty:${name}`, weights: base, result, tensors, settings, memoryBytes }
  await writeFile(join(job, 'job.json'), JSON.stringify({ ...about, seed: '00', data: null }))
  const env = workerEnvironment({ path: [workerSource, folder], threads: 1, env: { NOTES: join(job, 'notes') } }, job)
  const outcome = await runWorker({
    python,
    args: ['run', join(job, 'job.json')],
    env,
    cwd: job,
    limits: { ...generous, ...limits },
    sendLog: true,
    ...more,
  })
  return { ...outcome, folder: job }
}

const withNumpy = (use: (python: string) => Promise<void>) =>
  withPython('venv', async () => ((await hasPython()) ? ensurePython() : undefined), use)

const failing = (name: string, code: WorkerErrorCode, message: RegExp, limits: Partial<WorkerLimits> = {}) =>
  withNumpy(python => assert.rejects(run(python, name, limits), { name: 'WorkerError', code, message }))

test(
  'a worker that does its work gives its last line and a file',
  withNumpy(async python => {
    const { folder: job, ...line } = await run(python, 'Good')
    assert.ok(line.kind === 'trained')
    assert.deepEqual([line.examples, line.steps, line.meanLoss], [4, 10, 0.5])
    const file = await readFile(join(job, 'result'))
    assert.deepEqual(new Float32Array(new Uint8Array(file.subarray(-8)).buffer), Float32Array.of(2, 3))
  }),
)
test('a crash is a failure of the job alone', failing('Crashing', 'CRASHED', /SIGABRT/))
test('an end with code 0 and without a result is a crash', failing('Leaving', 'CRASHED', /code 0 without a result/))
test('what ended it by force is guessed at', failing('Killed', 'CRASHED', /SIGKILL without a result, as the kernel/))
test('an exception is told', failing('Raising', 'TRAINER_FAILED', /^ValueError: a row is broken$/))
test('code that is not there is named', failing('Absent', 'TRAINER_MISSING', /faulty has no Absent/))
test('an interpreter that is not there is named', () =>
  assert.rejects(run('/nowhere/python', 'Good'), { code: 'TRAINER_MISSING', message: /nowhere/ }))
test('silence ends a job', failing('Endless', 'STALLED', /no sign of life for 1 s/, { stallSeconds: 1 }))
test('progress does not save a job from its time limit', failing('Busy', 'TIME_LIMIT', /after 2 s/, { timeSeconds: 2 }))
test(
  'memory is counted over all processes of a job',
  failing('Growing', 'MEMORY_LIMIT', /of the 157286400 allowed/, { memoryBytes: 150 * 2 ** 20 }),
)
test('one step beyond the memory is refused before it is taken', failing('Hungry', 'MEMORY_LIMIT', /MemoryError/))
test('a line that is not JSON ends a job', failing('NotJson', 'PROTOCOL', /not JSON/))
test('a line that the agent does not know ends a job', failing('Unknown', 'PROTOCOL', /says nothing the agent knows/))
test('a line without end ends a job', failing('Endless_line', 'PROTOCOL', /line of more than 131072 bytes/))
test('numbers that cannot be end a job', failing('Negative', 'PROTOCOL', /examples/))

test(
  'of much output the end is kept, in whole lines',
  withNumpy(async python => {
    await assert.rejects(run(python, 'Loud'), (error: WorkerError) => {
      assert.ok(error.logTail.length <= 16 * 1024)
      assert.match(error.logTail, /^x{1000}\n/)
      assert.match(error.logTail, /the last words\n(?:.*\n)*ValueError: after much talk$/)
      return error.sendLog
    })
  }),
)

test(
  'the environment has nothing of the agent, and stdin is empty',
  withNumpy(async python => {
    process.env.AGENT_KEY_FILE = '/keys/device.key'
    try {
      const expected = 'HOME KERAS_BACKEND LANG .*NOTES .*PYTHONPATH .*TMPDIR'
      await assert.rejects(run(python, 'Spying'), ({ message }: Error) => {
        assert.match(message, new RegExp(`^ValueError: ${expected}.* stdin ''$`))
        return !message.includes('AGENT')
      })
    } finally {
      delete process.env.AGENT_KEY_FILE
    }
  }),
)

test(
  'an agent that is killed takes its worker along',
  withNumpy(async python => {
    const job = join(folder, 'orphan')
    await mkdir(job)
    const notes = join(job, 'notes')
    await writeFile(join(folder, 'waits.py'), waiting)
    const env = workerEnvironment({ path: [workerSource, folder], threads: 1, env: { NOTES: notes } }, job)
    const worker = { python, args: ['probe', 'numpy', 'waits:x'], env, cwd: job, limits: generous, sendLog: false }
    const module = new URL('./run-worker.ts', import.meta.url)
    const agent = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `import { runWorker } from '${module}'; await runWorker(${JSON.stringify(worker)})`,
    ])
    const pids = await noted(notes)
    agent.kill('SIGKILL')
    await untilGone(pids)
  }),
)

test(
  'a cancelled job leaves no process behind, its grandchildren included',
  withNumpy(async python => {
    const controller = new AbortController()
    const notes = join(folder, `job-${jobs}`, 'notes')
    const running = run(python, 'Endless', {}, { signal: controller.signal })
    const pids = await noted(notes)
    controller.abort(new Error('the attempt is cancelled'))
    await assert.rejects(running, /the attempt is cancelled/)
    await untilGone(pids)
  }),
)

test(
  'a process that hangs in its own end does not keep its result back',
  withNumpy(async python => {
    assert.equal((await run(python, 'Late')).kind, 'trained')
  }),
)
