import type { RoundDescriptor } from '@tributary/contracts/round'
import { shardSumLayout } from '@tributary/learning/exact-sum/shard-sum-layout'
import type { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf } from '@tributary/tensors/view'
import { exampleManifest, utf8 } from './example-model.ts'
import type { RoundFederation } from './round-federation.ts'

/** 8.8 MB of weights go up in two parts, 17.6 MB of momentum in three. */
const length = 2_200_000
const cycle = 8

const largeManifest: Manifest = {
  ...exampleManifest,
  tensors: [
    { name: 'w', dtype: 'F32', shape: [length], policy: 'average' },
    { name: 'fixed', dtype: 'F32', shape: [2], policy: 'frozen' },
  ],
}

/** Momentum 0.5, so that what is expected can be worked out on eight numbers: element i is that of i mod 8. */
export const largeOptimizer = { name: 'fedavgm', learningRate: 1, momentum: 0.5 } as const

const filled = <Values extends Float32Array | BigInt64Array>(values: Values, pattern: Values): Values => {
  for (let i = 0; i < length; i += cycle) values.set(pattern as Float32Array & BigInt64Array, i)
  return values
}

const weightsOf = (pattern: Float32Array): Uint8Array =>
  encodeSafetensors([
    { name: 'w', dtype: 'F32', shape: [length], bytes: bytesOf(filled(new Float32Array(length), pattern)) },
    { name: 'fixed', dtype: 'F32', shape: [2], bytes: bytesOf(Float32Array.of(9, -9)) },
  ])

/** A shard sum of weight 100 whose mean update is i mod 8, in eighths. */
export const largeSum = (): Uint8Array => {
  const pattern = BigInt64Array.from({ length: cycle }, (_, i) => BigInt(i * 100) << 22n)
  return Buffer.concat([shardSumLayout(largeManifest).header, bytesOf(filled(new BigInt64Array(length), pattern))])
}

/** The weights after so many rounds of that sum. */
export const largeWeights = (rounds: number): Uint8Array => {
  const pattern = new Float32Array(cycle)
  for (let i = 0; i < cycle; i += 1) {
    let velocity = 0
    for (let round = 0; round < rounds; round += 1) {
      velocity = 0.5 * velocity + i / 8
      pattern[i] = (pattern[i] as number) + velocity
    }
  }
  return weightsOf(pattern)
}

/** Gives the federation's first version these files in place of the small example's. */
export const enlarge = async ({ db, context, version }: RoundFederation): Promise<void> => {
  const manifest = { key: `large/${version}/manifest.json`, bytes: utf8(JSON.stringify(largeManifest)) }
  const weights = { key: `large/${version}/weights.safetensors`, bytes: largeWeights(0) }
  const [m, w] = await Promise.all([manifest, weights].map(({ key, bytes }) => context.store.put(key, bytes)))
  await db.sql`
    update model_version set weights_key = ${weights.key}, weights_sha256 = ${w?.sha256 ?? ''}, weights_bytes = ${w?.bytes ?? 0},
      manifest_key = ${manifest.key}, manifest_sha256 = ${m?.sha256 ?? ''}, manifest_bytes = ${m?.bytes ?? 0}
    where id = ${version}`
}

/** The descriptor of the attempt that opened last. */
const lastOpened = async (federation: RoundFederation): Promise<RoundDescriptor> => {
  const opened = (await federation.commands('round.opened')).at(-1)
  if (opened === undefined) throw new Error('no round was opened')
  return opened.data as unknown as RoundDescriptor
}

/** The round that is open is summed, so that its merge is due. @returns which attempt */
export const closeLargeRound = (federation: RoundFederation) => closeRound(federation, largeSum())

/** The same with any sum of weight 100. */
export const closeRound = async (federation: RoundFederation, sum: Uint8Array) => {
  // Leases end while a test takes its time.
  await federation.comeUp()
  const descriptor = await lastOpened(federation)
  await federation.deliver(await federation.summed(descriptor, { sum, weight: 100, accepted: 2 }))
  const { task, round, attempt } = descriptor
  return { task, round, attempt }
}
