import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { DataError } from '../../data/data-error.ts'
import { collectAfterLarge } from '../collect-garbage.ts'
import { TrainingDivergedError, TrainingError } from '../training-error.ts'
import { CancelledError } from './cancelled-error.ts'
import { DataInFile } from './data-in-file.ts'
import { DataInMemory } from './data-in-memory.ts'
import type { WorkerData } from './fitted-data.ts'
import { GraphCache } from './graph-cache.ts'
import type { EvaluateMessage, JobRequest, TrainMessage, WorkerReport, WorkerRequest } from './protocol.ts'
import { runEvaluation } from './run-evaluation.ts'
import { runTraining } from './run-training.ts'
import { release } from './runtime.ts'

/** Compiled graphs kept: training and evaluation of the model at hand and of the one before. */
const graphCapacity = 4

/** Sends a report; resolves when it is on its way and never rejects. */
export type Post = (report: WorkerReport) => Promise<void>

/** The worker's side: takes requests one after the other and answers each job once. */
export const serveJobs = (post: Post): ((request: WorkerRequest) => void) => {
  const graphs = new GraphCache(graphCapacity)
  const dataSets = new Map<number, WorkerData | Error>()
  const cancels = new Map<number, AbortController>()

  const dataOf = ({ dataId }: TrainMessage | EvaluateMessage): WorkerData => {
    const data = dataSets.get(dataId)
    if (data instanceof Error) throw data
    if (data !== undefined) return data
    throw new TrainingError('DATA_MISMATCH', `Data set ${dataId} is not here. Send the job again.`)
  }

  const train = async (message: TrainMessage, signal: AbortSignal): Promise<WorkerReport> => {
    const program = await graphs.training(message)
    try {
      const result = await runTraining(message, program, dataOf(message), signal, progress => {
        void post({ kind: 'progress', id: message.id, progress })
      })
      return { kind: 'trained', id: message.id, result }
    } finally {
      await graphs.giveBack(program)
    }
  }

  const run = async (request: JobRequest, signal: AbortSignal): Promise<WorkerReport> => {
    const { id } = request
    switch (request.kind) {
      case 'train':
        return train(request, signal)
      case 'evaluate': {
        const program = await graphs.evaluation(request)
        return { kind: 'evaluated', id, result: await runEvaluation(request, program, dataOf(request), signal) }
      }
    }
  }

  const answer = async (request: JobRequest, { signal }: AbortController): Promise<void> => {
    const { byteLength } = request.weights
    const report = await run(request, signal).catch((error: unknown) => failure(request.id, error))
    cancels.delete(request.id)
    await post(report)
    if (report.kind === 'trained') release([{ dtype: 'float32', shape: [], data: report.result.weights }])
    collectAfterLarge(byteLength)
  }

  const drop = async (dataId: number): Promise<void> => {
    const data = dataSets.get(dataId)
    dataSets.delete(dataId)
    if (data !== undefined && !(data instanceof Error)) await data[Symbol.asyncDispose]()
  }

  // One at a time and in order: what comes while a job is between two native calls waits for its end.
  let last = Promise.resolve()
  const follow = (act: () => void | Promise<void>): void => {
    last = last.then(act)
  }
  return request => {
    switch (request.kind) {
      case 'put-data':
        return follow(() => {
          dataSets.set(request.dataId, new DataInMemory(request.features, request.labels, request.examples))
        })
      case 'open-data':
        return follow(async () => {
          const opened = DataInFile.open(request.file, request)
          dataSets.set(request.dataId, await opened.catch((error: Error) => error))
        })
      case 'drop-data':
        return follow(() => drop(request.dataId))
      case 'cancel':
        return cancels.get(request.id)?.abort(new CancelledError())
      case 'train':
      case 'evaluate': {
        const cancel = new AbortController()
        cancels.set(request.id, cancel)
        return follow(() => answer(request, cancel))
      }
    }
  }
}

const failure = (id: number, error: unknown): WorkerReport => {
  if (error instanceof CancelledError) return { kind: 'cancelled', id }
  if (error instanceof TrainingDivergedError) {
    return { kind: 'failed', id, code: error.code, message: error.message, step: error.step }
  }
  if (error instanceof TrainingError) return { kind: 'failed', id, code: error.code, message: error.message }
  if (error instanceof DataError) return { kind: 'failed', id, code: 'DATA_MISMATCH', message: error.message }
  if (error instanceof OnnxModelError) {
    const code = error.code === 'OPTIONS_INVALID' ? 'SETTINGS_INVALID' : 'MODEL_UNSUPPORTED'
    return { kind: 'failed', id, code, message: `${error.code}: ${error.message}` }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { kind: 'failed', id, code: 'CRASHED', message: `The runtime failed: ${message}` }
}
