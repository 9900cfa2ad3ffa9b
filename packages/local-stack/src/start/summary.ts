import type { TaskDetail } from '@tributary/contracts/tasks'
import type { ResultFiles } from '../demo/results.ts'
import type { StartOptions } from './options.ts'

/** The object that `--json` prints as the last line of standard output. */
export type Summary = {
  readonly state: string
  readonly reason: { readonly code: string; readonly detail: string } | null
  readonly rounds: number
  readonly accuracy: number | null
  readonly loss: number | null
  readonly modelSha256: string | null
  readonly modelPath: string | null
  readonly onnxPath: string | null
  readonly taskId: string
  readonly modelId: string
  readonly version: string
  readonly devices: number
  readonly regions: number
  readonly examples: number
  /** From the creation of the task to its last evaluation. */
  readonly seconds: number
  readonly roundSeconds: readonly number[]
  readonly apiUrl: string
  readonly portBase: number | null
}

export const summarise = (
  task: TaskDetail,
  files: ResultFiles | undefined,
  more: { options: StartOptions; apiUrl: string; examples: number; seconds: number },
): Summary => {
  const committed = task.history.filter(round => round.state === 'committed')
  const last = committed.at(-1)
  return {
    state: task.state,
    reason: task.reason,
    rounds: task.rounds.committed,
    accuracy: last?.accuracy ?? null,
    loss: last?.loss ?? null,
    modelSha256: last?.modelSha256 ?? null,
    modelPath: files?.modelPath ?? null,
    onnxPath: files?.onnxPath ?? null,
    taskId: task.id,
    modelId: task.model,
    version: task.currentVersion,
    devices: more.options.devices,
    regions: more.options.regions,
    examples: more.examples,
    seconds: Math.round(more.seconds * 1000) / 1000,
    roundSeconds: committed.map(round => Math.round((round.seconds ?? 0) * 1000) / 1000),
    apiUrl: more.apiUrl,
    portBase: more.options.portBase ?? null,
  }
}
