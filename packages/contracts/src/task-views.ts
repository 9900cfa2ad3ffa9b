import * as z from 'zod'
import { DerivedMetrics } from './evaluation-metrics.ts'
import { Sha256, Slug, Timestamp, Uuid } from './ids.ts'
import { LogEntry } from './node-status.ts'
import { Participation } from './participation.ts'
import { MetricSums } from './round.ts'
import { AttemptState, ParticipantView } from './tasks.ts'

/** Why something did not come out, and what a person can do about it; null where the code is no refusal. */
export const ReasonView = z.object({ code: z.string(), detail: z.string(), action: z.string().nullable() })
export type ReasonView = z.infer<typeof ReasonView>

export const ShardView = z.object({
  region: Slug,
  shard: z.int(),
  epoch: z.int(),
  /** `open`: selecting; `collecting`: updates come in; `summed`: its sum is in; `failed`. */
  state: z.enum(['open', 'collecting', 'summed', 'failed']),
  goal: z.int(),
  /** Devices that it was to select, and those that it did. */
  toSelect: z.int(),
  selected: z.int(),
  accepted: z.int(),
  refused: z.int(),
  /** Devices that reported no examples; null until the shard is summed. */
  empty: z.int().nullable(),
  reason: ReasonView.nullable(),
  firstAcceptedAt: Timestamp.nullable(),
  /** When its sum was in, or it failed. */
  reportedAt: Timestamp.nullable(),
})
export type ShardView = z.infer<typeof ShardView>

/** Devices of a region by how their part ended. */
export const RegionParticipation = z.object({
  region: Slug,
  devices: z.int(),
  verdicts: z.partialRecord(Participation.shape.verdict, z.int()),
  examples: z.number(),
  /** Of the updates that came in. */
  bytes: z.number(),
})
export type RegionParticipation = z.infer<typeof RegionParticipation>

export const EvaluationView = z.object({
  state: z.enum(['open', 'closed']),
  version: Uuid,
  dataset: z.string().nullable(),
  /** Null with `examples` 0. */
  accuracy: z.number().nullable(),
  loss: z.number().nullable(),
  examples: z.int(),
  /** Values of the sums. */
  results: DerivedMetrics,
  /** The sums of all evaluators, confusion counts and histograms among them. */
  metrics: MetricSums,
  openedAt: Timestamp,
  deadline: Timestamp,
  closedAt: Timestamp.nullable(),
  shards: z.array(
    z.object({
      region: Slug,
      shard: z.int(),
      epoch: z.int(),
      state: z.enum(['open', 'summed']),
      evaluators: z.int(),
      accuracy: z.number().nullable(),
      loss: z.number().nullable(),
      examples: z.int(),
    }),
  ),
})
export type EvaluationView = z.infer<typeof EvaluationView>

export const AttemptView = z.object({
  attempt: z.int().positive(),
  state: AttemptState,
  /** Whether it used up one of the attempts that the task allows. */
  counted: z.boolean(),
  reason: ReasonView.nullable(),
  baseVersion: Uuid,
  version: z.object({ id: Uuid, number: z.int(), sha256: Sha256, bytes: z.int() }).nullable(),
  openedAt: Timestamp,
  /** Selection waits for further devices until then. */
  selectionDeadline: Timestamp.nullable(),
  deadline: Timestamp,
  /** By the report of the node that accepted it; nodes report every few seconds. */
  firstAcceptedAt: Timestamp.nullable(),
  /** When the last sum was in, or the quorum at the deadline, and the merge could begin. */
  closedAt: Timestamp.nullable(),
  /** When the merged object was complete and became the version, or the attempt was abandoned. */
  settledAt: Timestamp.nullable(),
  seconds: z.number().nullable(),
  goal: z.int(),
  toSelect: z.int(),
  selected: z.int(),
  accepted: z.int(),
  refused: z.int(),
  empty: z.int(),
  /** Sum of the integer weights. */
  weight: z.number().nullable(),
  trainingLoss: z.number().nullable(),
  /** Sums over the accepted updates. */
  trainingMetrics: MetricSums,
  shards: z.array(ShardView),
  /** Empty until participation lists are in, which comes before the merge. */
  participation: z.array(RegionParticipation),
  evaluation: EvaluationView.nullable(),
})
export type AttemptView = z.infer<typeof AttemptView>

/** `GET /v1/tasks/{task}/rounds/{round}`: the newest 100 attempts, oldest first. */
export const RoundDetail = z.object({ task: Uuid, round: z.int().positive(), attempts: z.array(AttemptView) })
export type RoundDetail = z.infer<typeof RoundDetail>

/** An entry of a regional node's journal. */
export const LogEntryView = LogEntry.extend({
  /** Rises in the order in which central took entries in. */
  id: z.int().positive(),
  region: Slug,
  node: Uuid,
})
export type LogEntryView = z.infer<typeof LogEntryView>

export const LogPage = z.object({
  items: z.array(LogEntryView),
  /**
   * Where to go on; null at the end. A page may hold fewer items than asked for, or none, and have a next: a request looks
   * through a bounded number of entries.
   */
  next: z.string().nullable(),
  /** Give it as `after` to hear what comes behind the newest entry that this answer knows of. */
  tail: z.string(),
})
export type LogPage = z.infer<typeof LogPage>

/** `GET /v1/tasks/{task}/rounds/{round}/participants/{device}`: everything that is known of one device-round. */
export const ParticipantDetail = z.object({
  task: Uuid,
  round: z.int().positive(),
  device: Uuid,
  label: z.string(),
  region: Slug,
  /** One for each attempt that it took part in, oldest first. */
  attempts: z.array(
    ParticipantView.extend({
      action: z.string().nullable(),
      /** The end of the device's own log of work that failed, where its owner lets logs out; null where there is none. */
      deviceLog: z.string().nullable(),
    }),
  ),
  /** The newest 50 entries about the device in this round, oldest first. */
  logs: z.array(LogEntryView),
})
export type ParticipantDetail = z.infer<typeof ParticipantDetail>

/** One point of each series of a task. A gap is null, with 0 as its number of examples. */
export const RoundMetrics = z.object({
  round: z.int().positive(),
  /** The round's latest attempt, which the other members are about. */
  attempt: z.int().positive(),
  attempts: z.int().positive(),
  state: AttemptState,
  version: Uuid.nullable(),
  openedAt: Timestamp,
  settledAt: Timestamp.nullable(),
  seconds: z.number().nullable(),
  accuracy: z.number().nullable(),
  loss: z.number().nullable(),
  evaluatedExamples: z.int(),
  trainingLoss: z.number().nullable(),
  trainingExamples: z.int(),
  selected: z.int(),
  accepted: z.int(),
  refused: z.int(),
  empty: z.int(),
  weight: z.number().nullable(),
  /** Of updates that came in, over all devices. */
  uploadBytes: z.number(),
  /** Training time, over all devices. */
  deviceSeconds: z.number(),
  /** Values of the sums of the evaluation. */
  results: DerivedMetrics,
  /**
   * Additive metrics as devices report them, summed: those of training and those of the evaluation. Confusion counts and
   * histograms are with the round itself.
   */
  training: MetricSums,
  evaluation: MetricSums,
})
export type RoundMetrics = z.infer<typeof RoundMetrics>

/** `GET /v1/tasks/{task}/metrics`. */
export const TaskMetrics = z.object({
  rounds: z.array(RoundMetrics),
  /** Give it as `from` for the rounds behind; null at the end. */
  next: z.int().nullable(),
})
export type TaskMetrics = z.infer<typeof TaskMetrics>

export const metricsFormats = ['json', 'csv', 'mlflow'] as const
