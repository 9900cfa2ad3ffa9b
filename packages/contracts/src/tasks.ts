import * as z from 'zod'
import { DerivedMetrics, EvaluationMetric } from './evaluation-metrics.ts'
import { DisplayName, Sha256, Slug, Timestamp, Uuid } from './ids.ts'
import { KeptLocal, TaskPersonalisation } from './personalisation.ts'
import { CohortPolicy, frameworksOf, MetricSums, TrainerSettings, trainingOptions } from './round.ts'
import { ServerOptimizer } from './server-optimizer.ts'
import { StopConditions } from './stop-conditions.ts'
import { unusedOptions } from './training-options.ts'

export const TaskState = z.enum(['draft', 'queued', 'running', 'paused', 'completed', 'failed', 'cancelled'])
export type TaskState = z.infer<typeof TaskState>

export const AttemptState = z.enum(['open', 'collecting', 'closing', 'committed', 'abandoned'])
export type AttemptState = z.infer<typeof AttemptState>

/** Four separate wishes (how many to start with, to aim at, to close with, to ask), all over all regions. */
export const CohortSize = z
  .strictObject({
    /** Close as soon as so many updates are accepted; null: all eligible devices. */
    goal: z.int().min(1).max(10_000_000).nullable().default(null),
    /** Alternatively a share of the eligible devices; ignored where `goal` is set. */
    fraction: z.number().gt(0).max(1).default(1),
    /** Do not open a round with fewer eligible devices online. */
    minimumToStart: z.int().min(1).default(1),
    /** Commit at the deadline with at least so many accepted updates. */
    quorum: z.int().min(1).default(1),
    /** Select so many times the goal; where the goal is everybody, nobody is left to over-select. */
    overSelection: z.number().min(1).max(10).default(1.3),
  })
  .prefault({})
export type CohortSize = z.infer<typeof CohortSize>

/** A version, the one that an alias names when the task is made, or without both the model's newest ready one. */
const VersionChoice = z
  .strictObject({ model: Uuid, version: Uuid.optional(), alias: Slug.optional() })
  .refine(({ version, alias }) => version === undefined || alias === undefined, 'name a version or an alias')

/** `POST /v1/tasks`. Every field but name and model has a default. */
export const CreateTask = z.strictObject({
  name: DisplayName,
  /** Start from this version of the model, or from the one that an alias names; without both: its newest ready version. */
  model: VersionChoice,
  /** Normalise data sets declared `federated` by these mean and variance, the result of a task of framework `statistics`. */
  statistics: VersionChoice.optional(),
  rounds: z.int().min(1).max(100_000).default(10),
  trainer: z
    .strictObject({
      framework: TrainerSettings.shape.framework.default('onnx'),
      otherFrameworks: TrainerSettings.shape.otherFrameworks,
      trainer: Slug.optional(),
      localEpochs: TrainerSettings.shape.localEpochs.default(1),
      batchSize: TrainerSettings.shape.batchSize.default(32),
      learningRate: TrainerSettings.shape.learningRate.default(0.05),
      optimizer: TrainerSettings.shape.optimizer.default('sgd'),
      loss: TrainerSettings.shape.loss.default('softmax-cross-entropy'),
      ...trainingOptions,
    })
    .check(({ value, issues }) => {
      const frameworks = frameworksOf(value)
      for (const [index, again] of frameworks.entries()) {
        if (frameworks.indexOf(again) === index) continue
        const path = ['otherFrameworks', index - 1]
        issues.push({ code: 'custom', input: again, path, message: `${again} is there already` })
      }
      for (const [option, message] of unusedOptions(value)) {
        issues.push({ code: 'custom', input: value[option], path: [option], message })
      }
    })
    .prefault({}),
  aggregation: z
    .strictObject({
      rule: z.string().max(64).default('weighted-mean'),
      weightCap: z
        .int()
        .min(1)
        .max(2 ** 24)
        .default(2 ** 16),
      clippingNorm: z.number().positive().max(1e9).nullable().default(null),
      /** Rounds that a region makes by itself before central merges. More than 1 needs every update in one place. */
      regionalRounds: z.int().min(1).max(1000).default(1),
    })
    .prefault({}),
  /** How central turns the mean update into the next version. */
  serverOptimizer: ServerOptimizer,
  cohort: z.strictObject({
    dataset: CohortPolicy.shape.dataset,
    groups: CohortPolicy.shape.groups.default([]),
    minimumExamples: CohortPolicy.shape.minimumExamples.default(1),
    labels: CohortPolicy.shape.labels,
    conditions: CohortPolicy.shape.conditions,
    size: CohortSize,
  }),
  /** Absent: only what the model's manifest keeps local. */
  personalisation: TaskPersonalisation.optional(),
  /** Names of regions; empty: all. */
  regions: z.array(Slug).max(4096).default([]),
  deadlines: z
    .strictObject({
      selectionSeconds: z.int().min(1).max(86_400).default(30),
      roundSeconds: z.int().min(1).max(604_800).default(600),
    })
    .prefault({}),
  /** Attempts of one round before the task fails. */
  attempts: z.int().min(1).max(100).default(3),
  evaluation: z
    .strictObject({
      /** Held-out data set that new versions are evaluated on; null: no evaluation. */
      dataset: Slug.nullable().default(null),
      deadlineSeconds: z.int().min(1).max(86_400).default(120),
      /** Share of the trainers that evaluate beside the evaluators. */
      cohortShare: z.number().min(0).max(1).default(0),
      /** What to find beside the loss; absent: all that fits the loss and the labels. */
      metrics: z.array(EvaluationMetric).max(EvaluationMetric.options.length).optional(),
    })
    .prefault({}),
  stop: StopConditions,
  /** Where regions have fewer slots than tasks wait for, higher goes first; equal: the older. */
  priority: z.int().min(0).max(9).default(5),
  /** Not before this time; absent: at once. */
  startAt: Timestamp.optional(),
  /** Try the task on this device alone, one round, without a new version. */
  dryRun: z.strictObject({ device: Uuid }).optional(),
  /** Same seed, same devices, same data: same bytes. Absent: drawn. */
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .optional(),
  /** Start at once, or keep a draft. */
  start: z.boolean().default(true),
})
export type CreateTask = z.infer<typeof CreateTask>

/** `PUT /v1/tasks/{task}`: all of a draft anew; absent fields take their defaults, only the drawn seed stays. */
export const EditTask = CreateTask.extend({
  /** Start it as well. */
  start: z.boolean().default(false),
})

/** Deeper than any setting lies. */
const mostLevels = 8

/**
 * `POST /v1/tasks/{task}/clone`: a JSON merge patch (RFC 7396) over the settings of the task. The clone begins with the same
 * version as the task did and with its seed, unless the patch says otherwise (`seed: null` draws one). The clone of a
 * draft is a draft; any other starts unless `start` is false.
 */
export const CloneTask = z
  .record(z.string().max(64), z.unknown())
  .refine(patch => depthOf(patch) <= mostLevels, `at most ${mostLevels} levels deep`)

/** Levels of objects and arrays; without recursion, since what comes from outside may be of any depth. */
const depthOf = (value: unknown): number => {
  let depth = 0
  for (let level: unknown[] = [value]; level.length > 0 && depth <= mostLevels; depth += 1) {
    level = level.flatMap(item => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return depth
}

/** What a queued task waits for. */
export const QueuePlace = z.object({
  /** Among the tasks that wait for the same regions, in the longest of their queues: 1 is next. Null before `startAt`. */
  position: z.int().positive().nullable(),
  /** `slots`: as many tasks as a region allows run there, or wait there before this one. */
  waitingFor: z.enum(['start-time', 'slots', 'devices']),
  /** Regions without a free slot for it. */
  regions: z.array(Slug),
})
export type QueuePlace = z.infer<typeof QueuePlace>

/** A round as the API shows it: its latest attempt and what came out. */
export const RoundView = z.object({
  round: z.int().positive(),
  attempt: z.int().positive(),
  state: AttemptState,
  reason: z.string().nullable(),
  openedAt: Timestamp,
  settledAt: Timestamp.nullable(),
  seconds: z.number().nullable(),
  goal: z.int(),
  selected: z.int(),
  accepted: z.int(),
  /** Sum of the integer weights, i.e. examples under the weighted mean. */
  weight: z.number().nullable(),
  /** Mean training loss over the accepted updates. */
  trainingLoss: z.number().nullable(),
  version: Uuid.nullable(),
  modelSha256: Sha256.nullable(),
  /** Of the new version on the evaluators' test sets; null with `evaluatedExamples` 0 until it arrives. */
  accuracy: z.number().nullable(),
  loss: z.number().nullable(),
  evaluatedExamples: z.int(),
  /** What else evaluators found: values of their sums. */
  results: DerivedMetrics,
  regions: z.array(
    z.object({
      region: Slug,
      shard: z.int(),
      epoch: z.int(),
      state: z.string(),
      selected: z.int(),
      accepted: z.int(),
    }),
  ),
})
export type RoundView = z.infer<typeof RoundView>

export const TaskView = z.object({
  id: Uuid,
  name: z.string(),
  state: TaskState,
  /**
   * Why a task failed, was cancelled or paused, or completed before its last round: a code of the catalogue, or CANCELLED, PAUSED,
   * STOP_TARGET, STOP_PATIENCE, STOP_SECONDS, DRY_RUN; and a text for people.
   */
  reason: z.object({ code: z.string(), detail: z.string() }).nullable(),
  model: Uuid,
  startVersion: Uuid,
  currentVersion: Uuid,
  rounds: z.object({ wanted: z.int(), committed: z.int() }),
  /** Of a queued task. */
  queue: QueuePlace.nullable(),
  settings: z.record(z.string(), z.unknown()),
  /** What `personalisation.keepLocal` was found to mean; absent where the task does not ask for it. */
  keptLocal: KeptLocal.optional(),
  createdAt: Timestamp,
  startedAt: Timestamp.nullable(),
  finishedAt: Timestamp.nullable(),
  createdBy: z.string(),
})
export type TaskView = z.infer<typeof TaskView>

/** `GET /v1/tasks/{task}`: the task with its rounds (newest 200, oldest first). */
export const TaskDetail = TaskView.extend({ history: z.array(RoundView) })
export type TaskDetail = z.infer<typeof TaskDetail>

export const ParticipantView = z.object({
  round: z.int(),
  attempt: z.int(),
  region: Slug,
  device: Uuid,
  label: z.string(),
  verdict: z.string(),
  code: z.string().nullable(),
  detail: z.string().nullable(),
  examples: z.number().nullable(),
  /** Integer weight that it had in the sum. */
  weight: z.number().nullable(),
  bytes: z.number().nullable(),
  seconds: z.number().nullable(),
  metrics: MetricSums,
})
export type ParticipantView = z.infer<typeof ParticipantView>
