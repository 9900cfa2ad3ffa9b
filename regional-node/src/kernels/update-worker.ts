/** A thread that works on updates and sums, one job after the other; `UpdateWorkers` starts and feeds it. */
import { parentPort, workerData } from 'node:worker_threads'
import { SumError } from '@tributary/learning/exact-sum/sum-error'
import { allocateKernelMemory } from '@tributary/learning/kernels/kernel-memory'
import { Kernels } from '@tributary/learning/kernels/kernels'
import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import type {
  Job,
  JobOutcome,
  NumberedJob,
  RoundDefinition,
  SumMemory,
  WorkerAnswer,
  WorkerRequest,
  WorkerStart,
} from './jobs.ts'
import { OWN_MEMORY_BYTES, planRound, type RoundPlan, SCRATCH_ADDRESS } from './round-plan.ts'
import { checkBody } from './worker/check-body.ts'
import { CancelledError, Control } from './worker/control.ts'
import { FileFailedError } from './worker/file-failed-error.ts'
import { OpenFiles } from './worker/open-files.ts'
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

const run = (plan: RoundPlan, job: Job, files: OpenFiles) => {
  switch (job.kind) {
    case 'check':
      return checkBody(own, plan, job, files, control)
    case 'clear':
      return clearSum(kernelsOf(job.sum), plan, control)
    case 'add':
      return addBodies(kernelsOf(job.sum), plan, job.updates, files, control)
    case 'write':
      return writeSum(kernelsOf(job.sum), plan, job.to, control)
    case 'restore':
      return restoreSum(kernelsOf(job.sum), plan, job.from, control)
    case 'sumFiles':
      return sumFiles(own, plan, job, control)
  }
}

const planOf = (round: number, definition: RoundDefinition | undefined): RoundPlan => {
  const plan = plans.get(round) ?? (definition && planRound(definition.manifest, definition.rule))
  if (plan === undefined) throw new Error(`round ${round} is not known to this thread`)
  plans.set(round, plan)
  return plan
}

const outcomeOf = (
  { id, job }: NumberedJob,
  { round, definition }: Extract<WorkerRequest, { kind: 'jobs' }>,
  files: OpenFiles,
): JobOutcome => {
  try {
    control.begin(id)
    return { kind: 'done', result: run(planOf(round, definition), job, files) ?? null }
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
  if (request.kind === 'jobs') {
    using files = new OpenFiles()
    const outcomes = request.jobs.map(job => outcomeOf(job, request, files))
    const answer: WorkerAnswer = { id: request.jobs[0]?.id ?? 0, outcomes }
    parentPort?.postMessage(answer)
  } else if (request.kind === 'forgetRound') plans.delete(request.round)
  else if (request.kind === 'forgetSum') sums.delete(request.sum)
  else parentPort?.close()
})
