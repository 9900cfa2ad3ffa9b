/** A thread that works on updates and sums, one job after the other; `UpdateWorkers` starts and feeds it. */
import { parentPort, workerData } from 'node:worker_threads'
import { SumError } from '@tributary/learning/exact-sum/sum-error'
import { allocateKernelMemory } from '@tributary/learning/kernels/kernel-memory'
import { Kernels } from '@tributary/learning/kernels/kernels'
import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import type { Job, JobOutcome, SumMemory, WorkerAnswer, WorkerRequest, WorkerStart } from './jobs.ts'
import { OWN_MEMORY_BYTES, planRound, type RoundPlan, SCRATCH_ADDRESS } from './round-plan.ts'
import { checkBody } from './worker/check-body.ts'
import { CancelledError, Control } from './worker/control.ts'
import { FileFailedError } from './worker/file-failed-error.ts'
import { sumFiles } from './worker/sum-files.ts'
import { addBodies, clearSum, restoreSum, writeSum } from './worker/sum-in-memory.ts'

const control = new Control((workerData as WorkerStart).control)
const own = new Kernels(allocateKernelMemory(OWN_MEMORY_BYTES), SCRATCH_ADDRESS)
const plans = new Map<number, RoundPlan>()
const sums = new Map<number, Kernels>()

const kernelsOf = ({ id, memory }: SumMemory): Kernels => {
  const known = sums.get(id) ?? new Kernels(memory, SCRATCH_ADDRESS)
  sums.set(id, known)
  return known
}

const run = (plan: RoundPlan, job: Job) => {
  switch (job.kind) {
    case 'check':
      return checkBody(own, plan, job.body, job.sha256, control)
    case 'clear':
      return clearSum(kernelsOf(job.sum), plan, control)
    case 'add':
      return addBodies(kernelsOf(job.sum), plan, job.updates, control)
    case 'write':
      return writeSum(kernelsOf(job.sum), plan, job.to, control)
    case 'restore':
      return restoreSum(kernelsOf(job.sum), plan, job.from, control)
    case 'sumFiles':
      return sumFiles(own, plan, job, control)
  }
}

const outcomeOf = (request: Extract<WorkerRequest, { kind: 'job' }>): JobOutcome => {
  try {
    control.begin(request.id)
    const { definition, round } = request
    if (definition !== undefined) plans.set(round, planRound(definition.manifest, definition.rule))
    const plan = plans.get(round)
    if (plan === undefined) throw new Error(`round ${round} is not known to this thread`)
    return { kind: 'done', result: run(plan, request.job) ?? null }
  } catch (error) {
    if (error instanceof CancelledError) return { kind: 'cancelled' }
    const { message, code, syscall } = error as NodeJS.ErrnoException
    // The files of checked updates and of sums are the node's own: one that is malformed was not kept as it was written.
    const malformed = error instanceof InvalidUpdateError || error instanceof SumError
    if (malformed || error instanceof FileFailedError || (code !== undefined && syscall !== undefined)) {
      return { kind: 'fileFailed', detail: message, systemCode: syscall && code }
    }
    return { kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) }
  }
}

parentPort?.on('message', (request: WorkerRequest) => {
  if (request.kind === 'job') {
    parentPort?.postMessage({ id: request.id, outcome: outcomeOf(request) } satisfies WorkerAnswer)
  } else if (request.kind === 'forgetRound') plans.delete(request.round)
  else if (request.kind === 'forgetSum') sums.delete(request.sum)
  else parentPort?.close()
})
