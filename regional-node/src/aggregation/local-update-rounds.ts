import { createHash } from 'node:crypto'
import { ShardSum } from '@tributary/learning/exact-sum/shard-sum'
import type { SumRule } from '@tributary/learning/exact-sum/sum-rule'
import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import type { Manifest } from '@tributary/tensors/manifest'
import { RangeReader, SealedWriter } from '../log/sealed-file.ts'
import { addSpooledUpdate, checkSpooledUpdate } from './update-reading.ts'
import type { LiveSum, SealedPath, SumFile, UpdateRound, UpdateRounds, WrittenFile } from './update-round.ts'

/** The arithmetic in plain TypeScript, in the thread of the caller. */
export const localUpdateRounds: UpdateRounds = { open: (manifest, rule) => new LocalUpdateRound(manifest, rule) }

class LocalUpdateRound implements UpdateRound {
  readonly sumBytes: number
  readonly #manifest: Manifest
  readonly #rule: SumRule

  constructor(manifest: Manifest, rule: SumRule) {
    this.#manifest = manifest
    this.#rule = rule
    this.sumBytes = new ShardSum(manifest, rule).fileBytes
  }

  check: UpdateRound['check'] = async body => {
    try {
      await using reader = await RangeReader.open(body)
      await checkSpooledUpdate(reader, body.bytes, this.#manifest, this.#rule)
      return { ok: true }
    } catch (error) {
      if (!(error instanceof InvalidUpdateError)) throw error
      return { ok: false, code: error.code, tensor: error.tensor ?? null, detail: error.message }
    }
  }

  openSum: UpdateRound['openSum'] = async () => new LocalSum(this.#manifest, this.#rule)

  sumFiles: UpdateRound['sumFiles'] = async ({ from, to, updates }) => {
    using sum = new LocalSum(this.#manifest, this.#rule)
    if (from !== null) await sum.restore(from)
    for (const { body, weight } of updates) await sum.add(body, weight)
    return { ...(await sum.write(to)), totals: sum.totals }
  };

  [Symbol.dispose](): void {}
}

class LocalSum implements LiveSum {
  readonly #manifest: Manifest
  readonly #rule: SumRule
  #sum: ShardSum

  constructor(manifest: Manifest, rule: SumRule) {
    this.#manifest = manifest
    this.#rule = rule
    this.#sum = new ShardSum(manifest, rule)
  }

  get totals() {
    return this.#sum.totals
  }

  add: LiveSum['add'] = async (body, weight) => {
    await using reader = await RangeReader.open(body)
    await addSpooledUpdate(this.#sum, reader, body.bytes, this.#manifest, weight)
  }

  restore = async ({ totals, ...sealed }: SumFile): Promise<void> => {
    const bytes = this.#sum.fileBytes
    await using reader = await RangeReader.open({ ...sealed, offset: 0, bytes })
    this.#sum = ShardSum.restore(this.#manifest, this.#rule, await reader.range(0, bytes), totals)
  }

  write = async ({ path, seal }: SealedPath): Promise<WrittenFile> => {
    const hash = createHash('sha256')
    await using file = await SealedWriter.create(path, seal)
    for (const chunk of this.#sum.chunks()) {
      hash.update(chunk)
      await file.write(chunk)
    }
    await file.sync()
    return { sha256: hash.digest('hex'), bytes: file.end }
  };

  [Symbol.dispose](): void {}
}
