import { createHash } from 'node:crypto'
import type { ObjectRef } from '@tributary/contracts/ids'
import type { EvaluationDescriptor, RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import { encodeUpdate } from '@tributary/learning/update/update-body'
import { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf } from '@tributary/tensors/view'
import { v7 as uuidv7 } from 'uuid'

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A model of two tensors, `w` of three values and `b` of two. */
export const sampleManifest = Manifest.parse({
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'w', dtype: 'F32', shape: [3], policy: 'average' },
    { name: 'b', dtype: 'F32', shape: [2], policy: 'average' },
  ],
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})

const floats = (values: readonly number[]): Uint8Array => bytesOf(Float32Array.from(values))

/** The body of an update with these deltas. */
export const sampleUpdate = (w: readonly number[], b: readonly number[]): Uint8Array =>
  encodeUpdate(
    sampleManifest,
    new Map([
      ['w', floats(w)],
      ['b', floats(b)],
    ]),
  )

/** Manifest and base version as objects. */
export const sampleObjects = () => {
  const manifest = Buffer.from(JSON.stringify(sampleManifest))
  const base = encodeSafetensors([
    { name: 'w', dtype: 'F32', shape: [3], bytes: floats([1, 2, 3]) },
    { name: 'b', dtype: 'F32', shape: [2], bytes: floats([4, 5]) },
  ])
  const object = (objectKey: string, bytes: Uint8Array): ObjectRef => ({
    objectKey,
    sha256: sha256Of(bytes),
    bytes: bytes.byteLength,
  })
  return {
    manifest: { ref: object('models/m/manifest.json', manifest), bytes: manifest },
    base: { ref: object('models/m/base.safetensors', base), bytes: Buffer.from(base) },
  }
}

/** Attempt 1 of round 1 of a new task, for one shard; opened at `now`, 10 s to select, 60 s more to report. */
export const sampleDescriptor = (now: number, plan: Partial<ShardPlan> = {}): RoundDescriptor => {
  const { manifest, base } = sampleObjects()
  const at = (seconds: number) => new Date(now + seconds * 1000).toISOString()
  return {
    task: uuidv7(),
    round: 1,
    attempt: 1,
    taskName: 'sample',
    openedAt: at(0),
    selectionDeadline: at(10),
    deadline: at(70),
    base: { ...base.ref, version: uuidv7(), number: 1 },
    manifest: manifest.ref,
    graph: null,
    trainer: {
      framework: 'onnx',
      localEpochs: 1,
      batchSize: 10,
      learningRate: 0.1,
      optimizer: 'sgd',
      loss: 'softmax-cross-entropy',
    },
    cohort: { dataset: 'digits', groups: [], minimumExamples: 1 },
    // e = min(51, 62 − 2) − (16 + 10) = 25
    sum: {
      weighting: 'examples',
      weightCap: 65_536,
      maxUpdates: 4,
      bound: 1024,
      bufferBound: 1024,
      clippingNorm: null,
    },
    taskSeed: '2a',
    shards: [{ region: 'north', shard: 0, epoch: 1, goal: 2, select: 2, ...plan }],
  }
}

/** The evaluation of the version that a round began with, for its shard. */
export const sampleEvaluation = (round: RoundDescriptor): EvaluationDescriptor => ({
  evaluation: uuidv7(),
  task: round.task,
  round: round.round,
  weights: round.base,
  manifest: round.manifest,
  graph: null,
  trainer: round.trainer,
  dataset: round.cohort.dataset,
  deadline: round.deadline,
  shards: round.shards.map(({ region, shard, epoch }) => ({ region, shard, epoch })),
})
