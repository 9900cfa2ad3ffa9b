import type { MessageInitShape } from '@bufbuild/protobuf'
import { defaultMetrics } from '@tributary/contracts/evaluation-metrics'
import type {
  EvaluationWorkSchema,
  ObjectInfoSchema,
  TrainerSettingsSchema,
  TrainingWorkSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { ObjectRef } from '@tributary/contracts/ids'
import type { TrainerSettings } from '@tributary/contracts/round'
import { trainingSeed } from '@tributary/learning/seeded/seed'
import { othersOf } from '../attempt/objects-of-work.ts'
import type { ShardAttempt } from '../attempt/shard-attempt.ts'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { ShardEvaluation } from '../evaluation/shard-evaluation.ts'
import type { WorkTokens } from '../identity/work-tokens.ts'

/** A token outlives its deadline by so long that a late device hears LATE, not that its token is wrong. */
const graceSeconds = 3600

const objectInfo = ({ sha256, bytes }: ObjectRef): MessageInitShape<typeof ObjectInfoSchema> => ({
  sha256,
  bytes: BigInt(bytes),
})

const trainerSettings = ({
  trainer,
  otherFrameworks = [],
  ...settings
}: TrainerSettings): MessageInitShape<typeof TrainerSettingsSchema> => ({
  ...settings,
  otherFrameworks,
  trainer: trainer ?? '',
})

const expiry = (deadline: string): number => Math.floor(Date.parse(deadline) / 1000) + graceSeconds

/** The training of an attempt, for one device. */
export const trainingWork = async (
  tokens: WorkTokens,
  { state: { descriptor, plan }, maxUpdateBytes = 1 }: ShardAttempt,
  { device, label, certificateSha256 }: KnownDevice,
): Promise<MessageInitShape<typeof TrainingWorkSchema>> => {
  const { task, round, attempt, base, manifest, graph, statistics, trainer, sum, cohort, deadline } = descriptor
  const { shard, epoch } = plan
  const objects = [base, manifest, ...othersOf(descriptor)]
  const token = await tokens.mint({
    work: 'training',
    task,
    round,
    attempt,
    base: base.sha256,
    maxBytes: maxUpdateBytes,
    shard,
    epoch,
    device,
    certificateSha256,
    objects: objects.map(({ sha256 }) => sha256),
    exp: expiry(deadline),
  })
  return {
    attempt: { task, round, attempt },
    token,
    dataset: cohort.dataset,
    base: objectInfo(base),
    manifest: objectInfo(manifest),
    ...(graph === null ? {} : { graph: objectInfo(graph) }),
    ...(statistics === undefined ? {} : { statistics: objectInfo(statistics) }),
    trainer: trainerSettings(trainer),
    sum: {
      bound: sum.bound,
      weightCap: sum.weightCap,
      clippingNorm: sum.clippingNorm ?? 0,
      weighting: sum.weighting,
    },
    seed: Buffer.from(trainingSeed(descriptor.taskSeed, round, label)).toString('hex'),
    maxUpdateBytes: BigInt(maxUpdateBytes),
    deadlineUnixMillis: BigInt(Date.parse(deadline)),
    taskName: descriptor.taskName,
    groups: cohort.groups,
    model: descriptor.model?.id ?? '',
    modelName: descriptor.model?.name ?? '',
  }
}

/** The evaluation of a version, for one evaluator. */
export const evaluationWork = async (
  tokens: WorkTokens,
  { descriptor, shard, epoch }: ShardEvaluation,
  { device, certificateSha256 }: KnownDevice,
): Promise<MessageInitShape<typeof EvaluationWorkSchema>> => {
  const { evaluation, weights, manifest, graph, statistics, trainer, dataset, metrics, deadline } = descriptor
  const objects = [weights, manifest, ...othersOf(descriptor)].map(({ sha256 }) => sha256)
  const place = { shard, epoch, device, certificateSha256 }
  const token = await tokens.mint({ work: 'evaluation', evaluation, ...place, objects, exp: expiry(deadline) })
  return {
    evaluation,
    token,
    dataset,
    weights: objectInfo(weights),
    manifest: objectInfo(manifest),
    ...(graph === null ? {} : { graph: objectInfo(graph) }),
    ...(statistics === undefined ? {} : { statistics: objectInfo(statistics) }),
    trainer: trainerSettings(trainer),
    deadlineUnixMillis: BigInt(Date.parse(deadline)),
    task: descriptor.task,
    // Never none, which is what an older node says.
    metrics: metrics === undefined ? [defaultMetrics] : ['loss', ...metrics],
    taskName: descriptor.taskName ?? '',
    model: descriptor.model?.id ?? '',
    modelName: descriptor.model?.name ?? '',
  }
}
