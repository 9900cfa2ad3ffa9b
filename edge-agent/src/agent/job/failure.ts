import type { ErrorCode } from '@tributary/contracts/errors'
import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { SafetensorsError } from '@tributary/tensors/safetensors/safetensors-error'
import { DataError, type DataErrorCode } from '../../data/data-error.ts'
import { lastLines, scrubLog } from '../../python-worker/scrub-log.ts'
import { WorkerError } from '../../python-worker/worker-error.ts'
import { LocalTensorsError } from '../../state/local-tensors.ts'
import { TrainingDivergedError, TrainingError } from '../../training/training-error.ts'
import { CallError } from '../../transport/call-error.ts'
import { ModelError, WorkError } from './work.ts'

/**
 * Why work cannot be done on this device, as it leaves the device: a code of the catalogue, at most 500 bytes, and at most 4 KiB of the end of
 * the log of that work.
 */
export type Failure = { readonly code: ErrorCode; readonly detail: string; readonly logTail?: string }

const mostDetailBytes = 500
/** What V8, worker threads and the ONNX runtime say when memory is short. */
const outOfMemory = /bad_alloc|out of memory|allocation failed|failed to allocate|Invalid typed array length/i

/**
 * The failure that tells the federation about an error after which nobody need wait for this device; undefined where the node
 * knows already, or where another try may do. Messages about the model and the work go out, since both came from central.
 * Those about the owner's data or this machine name files, paths or labels: only their code does. Logs are freed of paths and secrets, and
 * none goes out about data.
 */
export const failureOf = (error: unknown): Failure | undefined => {
  if (error instanceof CallError) return undefined
  if (error instanceof DataError) return failure('DATASET_UNUSABLE', dataDetail(error))
  if (error instanceof TrainingError) return trainingFailure(error)
  if (error instanceof WorkerError) return workerFailure(error)
  if (error instanceof ModelError || error instanceof SafetensorsError) {
    return failure('MODEL_UNSUPPORTED', error.message)
  }
  if (error instanceof OnnxModelError) return failure('MODEL_UNSUPPORTED', `${error.code}: ${error.message}`)
  if (error instanceof WorkError || error instanceof LocalTensorsError)
    return failure('WORK_UNSUPPORTED', error.message)
  return isOutOfMemory(error) ? failure('DEVICE_OUT_OF_MEMORY', '') : failure('TRAINING_FAILED', '', traceOf(error))
}

/** What the task, and not only the owner, can mend. None of it tells anything of the data. */
const causes: Partial<Record<DataErrorCode, string>> = {
  NOT_FEDERATED: 'its owner does not have it normalised by federated statistics, so they are not found of it',
  STATISTICS_MISSING: 'its owner has it normalised by federated statistics, and the task names none in "statistics"',
  STATISTICS_MISMATCH: 'the statistics have neither one entry for each feature, nor one for each channel or for all',
  BEYOND_SCALE: 'it holds values far above those when the scale was found: begin the statistics anew',
}

const dataDetail = ({ code, at }: DataError): string => {
  const cause = causes[code]
  if (cause !== undefined) return `${code}: ${cause}.`
  return at === undefined ? code : `${code} at ${at}`
}

const trainingFailure = (error: TrainingError): Failure | undefined => {
  switch (error.code) {
    case 'MODEL_UNSUPPORTED':
    case 'WEIGHTS_MISMATCH':
      return failure('MODEL_UNSUPPORTED', error.message)
    case 'DATA_MISMATCH':
      return failure('DATASET_UNUSABLE', error.code)
    case 'SETTINGS_INVALID':
      return failure('WORK_UNSUPPORTED', error.message)
    case 'DIVERGED':
      return failure('TRAINING_DIVERGED', error instanceof TrainingDivergedError ? `step ${error.step}` : '')
    case 'CRASHED':
      return isOutOfMemory(error)
        ? failure('DEVICE_OUT_OF_MEMORY', '')
        : failure('TRAINING_FAILED', error.code, lastWordsOf(error))
    case 'STALLED':
      return failure('TRAINING_FAILED', error.code)
    case 'MEMORY_LIMIT':
      return failure('MEMORY_LIMIT', '')
    case 'BUSY':
    case 'DISPOSED':
      return undefined
  }
}

/** What the owner's own code said goes out only where the owner lets it. */
const workerFailure = (error: WorkerError): Failure => {
  const { code, step, sent } = error
  switch (code) {
    case 'MODEL_MISMATCH':
      return failure('MODEL_UNSUPPORTED', sent.message || code, sent.log)
    case 'SETTINGS_INVALID':
    case 'TRAINER_MISSING':
      return failure('WORK_UNSUPPORTED', sent.message || code, sent.log)
    case 'DATA_MISMATCH':
      return failure('DATASET_UNUSABLE', code)
    case 'DIVERGED':
      return failure('TRAINING_DIVERGED', step === undefined ? '' : `step ${step}`, sent.log)
    case 'MEMORY_LIMIT':
    case 'TIME_LIMIT':
      return failure(code, sent.message, sent.log)
    case 'TRAINER_FAILED':
    case 'STALLED':
    case 'CRASHED':
    case 'PROTOCOL':
      return failure('TRAINING_FAILED', sent.message === '' ? code : `${code}: ${sent.message}`, sent.log)
  }
}

/** Of an error that nobody foresaw. */
const traceOf = (error: unknown): string => (error instanceof Error ? scrubLog(error.stack ?? error.message) : '')

/** What a process wrote before it ended, if anything. */
const lastWordsOf = ({ cause }: TrainingError): string => (cause instanceof Error ? scrubLog(cause.message) : '')

const isOutOfMemory = (error: unknown): boolean => {
  const { message, code, cause } = error as { message?: unknown; code?: unknown; cause?: unknown }
  if (code === 'ERR_WORKER_OUT_OF_MEMORY' || outOfMemory.test(`${message}`)) return true
  return cause instanceof Error && isOutOfMemory(cause)
}

const failure = (code: ErrorCode, detail: string, log = ''): Failure => ({
  code,
  detail: cut(detail.replace(/\s+/g, ' ')),
  ...(log === '' ? {} : { logTail: lastLines(log) }),
})

/** Cuts between characters. */
const cut = (text: string, bytes = mostDetailBytes): string => {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytes))
  return text.slice(0, read)
}
