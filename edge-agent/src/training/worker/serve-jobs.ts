import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { collectAfterLarge } from '../collect-garbage.ts'
import { TrainingDivergedError, TrainingError } from '../training-error.ts'
import { CancelledError } from './cancelled-error.ts'
import { GraphCache } from './graph-cache.ts'
import type { CheckMessage, EvaluateMessage, TrainMessage, WorkerReport, WorkerRequest } from './protocol.ts'
import { runCheck } from './run-check.ts'
import { runEvaluation } from './run-evaluation.ts'
import { runTraining } from './run-training.ts'
import { WorkerData } from './worker-data.ts'

/** Compiled graphs kept: training and evaluation of the model at hand and of the one before. */
const graphCapacity = 4

export type Post = (report: WorkerReport, transfer?: readonly ArrayBuffer[]) => void

/** The worker's side: takes requests one after the other and answers each job once. `close` is called last. */
export const serveJobs = (post: Post, close: () => void): ((request: WorkerRequest) => void) => {
  const graphs = new GraphCache(graphCapacity)
  const dataSets = new Map<number, WorkerData>()

  const dataOf = ({ dataId }: TrainMessage | EvaluateMessage): WorkerData => {
    const data = dataSets.get(dataId)
    if (data !== undefined) return data
    throw new TrainingError('DATA_MISMATCH', `Data set ${dataId} is not here. Send the job again.`)
  }

  const train = async (message: TrainMessage): Promise<void> => {
    const program = await graphs.training(message)
    try {
      const result = await runTraining(message, program, dataOf(message), progress =>
        post({ kind: 'progress', id: message.id, progress }),
      )
      post({ kind: 'trained', id: message.id, result }, [result.weights.buffer as ArrayBuffer])
    } finally {
      await graphs.giveBack(program)
    }
  }

  const evaluate = async (message: EvaluateMessage): Promise<void> => {
    const result = await runEvaluation(message, await graphs.evaluation(message), dataOf(message))
    post({ kind: 'evaluated', id: message.id, result })
  }

  const check = async (message: CheckMessage): Promise<void> => {
    post({ kind: 'checked', id: message.id, finite: await runCheck(message) })
  }

  const run = (request: TrainMessage | EvaluateMessage | CheckMessage): Promise<void> => {
    switch (request.kind) {
      case 'train':
        return train(request)
      case 'evaluate':
        return evaluate(request)
      case 'check':
        return check(request)
    }
  }

  const handle = async (request: WorkerRequest): Promise<void> => {
    switch (request.kind) {
      case 'put-data':
        dataSets.set(request.dataId, new WorkerData(request.features, request.labels, request.examples))
        return
      case 'drop-data':
        dataSets.delete(request.dataId)
        return
      case 'forget':
        dataSets.clear()
        await graphs.clear()
        return
      case 'close':
        await graphs.clear()
        close()
        return
      case 'train':
      case 'evaluate':
      case 'check': {
        const { byteLength } = request.weights
        try {
          await run(request)
        } catch (error) {
          post(failure(request.id, error))
        }
        collectAfterLarge(byteLength)
      }
    }
  }

  // One at a time and in order: a job's messages arrive while another runs between two native calls.
  let last = Promise.resolve()
  return request => {
    last = last.then(() => handle(request))
  }
}

const failure = (id: number, error: unknown): WorkerReport => {
  if (error instanceof CancelledError) return { kind: 'cancelled', id }
  if (error instanceof TrainingDivergedError) {
    return { kind: 'failed', id, code: error.code, message: error.message, step: error.step }
  }
  if (error instanceof TrainingError) return { kind: 'failed', id, code: error.code, message: error.message }
  if (error instanceof OnnxModelError) {
    const code = error.code === 'OPTIONS_INVALID' ? 'SETTINGS_INVALID' : 'MODEL_UNSUPPORTED'
    return { kind: 'failed', id, code, message: `${error.code}: ${error.message}` }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { kind: 'failed', id, code: 'CRASHED', message: `The runtime failed: ${message}` }
}
