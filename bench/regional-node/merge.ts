import { randomUUID } from 'node:crypto'
import { ServerOptimizer } from '@tributary/contracts/server-optimizer'
import { mergeModel } from '@tributary/functions/merge/merge-model'
import type { SummedRound } from './round.ts'
import type { Stage } from './stage.ts'
import { manifestOf } from './update-frames.ts'

/**
 * Makes the next version of the model out of a round's sum, as central does, through the same object storage; what is missing to a commit
 * is the transaction of the database.
 * @returns seconds
 */
export const mergeRound = async (stage: Stage, { descriptor, event, values }: SummedRound): Promise<number> => {
  const uploads: Partial<Record<'weights' | 'state', string>> = {}
  const notes = {
    read: async () => ({ uploads, verified: [] }),
    claimUpload: async (file: 'weights' | 'state', upload: string) => {
      uploads[file] ??= upload
      return upload
    },
    dropUpload: async () => undefined,
    noteVerified: async () => undefined,
  }
  const { region, shard, accepted, sum, participation } = event
  const work = {
    manifest: manifestOf(values),
    rule: descriptor.sum,
    optimiser: ServerOptimizer.parse({ name: 'none' }),
    base: descriptor.base,
    state: null,
    shards: [{ region, shard, accepted, weight: BigInt(event.weight), sum, participation, late: false }],
    keys: { weights: `models/next/${randomUUID()}`, state: `models/next/${randomUUID()}` },
  }
  const began = performance.now()
  await mergeModel(stage.objects, work, notes, {
    signal: AbortSignal.timeout(600_000),
    onProgress: async () => undefined,
  })
  return (performance.now() - began) / 1000
}
