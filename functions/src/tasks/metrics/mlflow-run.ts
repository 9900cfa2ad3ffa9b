import { createHash } from 'node:crypto'
import type { RoundMetrics } from '@tributary/contracts/task-views'
import type { TaskState } from '@tributary/contracts/tasks'
import type { Reason } from '../../rounds/reason.ts'
import { resultNames, sumNames } from './sum-names.ts'
import type { TarFile } from './tar.ts'
import { yamlDocument } from './yaml-document.ts'

/** The task that becomes a run, and its model that becomes the experiment. */
export type MlflowTask = {
  readonly id: string
  readonly name: string
  readonly state: TaskState
  readonly reason: Reason | null
  readonly model: string
  readonly modelName: string
  readonly currentVersion: string
  readonly currentSha256: string
  readonly settings: object
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
  readonly createdBy: string
}

// RunStatus of MLflow: RUNNING 1, SCHEDULED 2, FINISHED 3, FAILED 4, KILLED 5.
const statuses: Readonly<Record<TaskState, number>> = {
  draft: 2,
  queued: 2,
  running: 1,
  paused: 1,
  completed: 3,
  failed: 4,
  cancelled: 5,
}
/** SourceType of MLflow: JOB. */
const job = 2
/** MLflow refuses longer ones. */
const longestParam = 6000

const series = [
  'accuracy',
  'loss',
  'evaluatedExamples',
  'trainingLoss',
  'trainingExamples',
  'seconds',
  'attempts',
  'selected',
  'accepted',
  'refused',
  'empty',
  'weight',
  'uploadBytes',
  'deviceSeconds',
] as const satisfies readonly (keyof RoundMetrics)[]

/**
 * A task as MLflow's file store keeps a run: `mlruns/<experiment>/<run>` with meta.yaml, params, tags, and a file a metric with
 * lines of timestamp (ms), value and step (the round). A gap is a line that is not there. The run's id is the task's, the
 * experiment's follows from the model's, so that several tasks unpack into one store.
 */
export const mlflowFiles = (task: MlflowTask, rounds: readonly RoundMetrics[]): TarFile[] => {
  const experiment = experimentId(task.model)
  const run = task.id.replaceAll('-', '')
  const home = `mlruns/${experiment}`
  // MLflow takes a folder for a run only where all of them are there, be they empty.
  const folder = (name: string, entries: readonly (readonly [string, string])[]): TarFile[] => [
    { path: `${home}/${run}/${name}/`, content: '' },
    ...entries.map(([key, content]) => ({ path: `${home}/${run}/${name}/${key}`, content })),
  ]
  return [
    { path: `${home}/meta.yaml`, content: experimentMeta(task, experiment) },
    { path: `${home}/${run}/meta.yaml`, content: runMeta(task, experiment, run) },
    ...folder('params', paramsOf(task.settings)),
    ...folder('tags', tagsOf(task)),
    ...folder('metrics', metricsOf(rounds)),
    ...folder('artifacts', []),
  ]
}

/** Eighteen digits, as MLflow makes them. */
const experimentId = (model: string): string =>
  String(10n ** 17n + (createHash('sha256').update(model).digest().readBigUInt64BE() % (9n * 10n ** 17n)))

const experimentMeta = ({ modelName, createdAt }: MlflowTask, experiment: string): string =>
  yamlDocument({
    artifact_location: `mlruns/${experiment}`,
    creation_time: createdAt.getTime(),
    experiment_id: experiment,
    last_update_time: createdAt.getTime(),
    lifecycle_stage: 'active',
    name: modelName,
  })

const runMeta = (task: MlflowTask, experiment: string, run: string): string =>
  yamlDocument({
    artifact_uri: `mlruns/${experiment}/${run}/artifacts`,
    end_time: task.finishedAt?.getTime() ?? null,
    entry_point_name: '',
    experiment_id: experiment,
    lifecycle_stage: 'active',
    run_id: run,
    run_name: task.name,
    run_uuid: run,
    source_name: 'tributary',
    source_type: job,
    source_version: '',
    start_time: (task.startedAt ?? task.createdAt).getTime(),
    status: statuses[task.state],
    tags: [],
    user_id: task.createdBy,
  })

/** Settings as `trainer.learningRate`; lists as JSON. Keys are of the contract, or slugs. */
const paramsOf = (settings: object, prefix = ''): [string, string][] =>
  Object.entries(settings).flatMap(([key, value]): [string, string][] => {
    if (value === null || value === undefined) return []
    if (typeof value === 'object' && !Array.isArray(value)) return paramsOf(value as object, `${prefix}${key}.`)
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    // MLflow reads the first line of the file.
    return [[`${prefix}${key}`, text.replaceAll(/\s+/g, ' ').slice(0, longestParam)]]
  })

const tagsOf = (task: MlflowTask): [string, string][] => [
  ['mlflow.runName', task.name],
  ['mlflow.source.name', 'tributary'],
  ['mlflow.source.type', 'JOB'],
  ['mlflow.user', task.createdBy],
  ['tributary.task', task.id],
  ['tributary.state', task.state],
  ['tributary.model', task.model],
  ['tributary.version', task.currentVersion],
  ['tributary.version.sha256', task.currentSha256],
  ...(task.reason === null
    ? []
    : ([['tributary.reason', `${task.reason.code}: ${task.reason.detail}`]] as [string, string][])),
]

const metricsOf = (rounds: readonly RoundMetrics[]): [string, string][] => {
  const sums = (of: 'training' | 'evaluation'): [string, string][] =>
    sumNames(rounds.map(round => round[of])).map(name => [`${of}_${name}`, lines(rounds, round => round[of][name])])
  return [
    ...series.map((name): [string, string] => [name, lines(rounds, round => round[name])]),
    ...resultNames(rounds).map((name): [string, string] => [name, lines(rounds, round => round.results[name])]),
    ...sums('training'),
    ...sums('evaluation'),
  ].filter(([, content]) => content !== '')
}

const lines = (rounds: readonly RoundMetrics[], pick: (round: RoundMetrics) => number | string | null | undefined) =>
  rounds
    .flatMap(round => {
      const value = pick(round)
      const time = Date.parse(round.settledAt ?? round.openedAt)
      return value === null || value === undefined ? [] : [`${time} ${value} ${round.round}\n`]
    })
    .join('')
