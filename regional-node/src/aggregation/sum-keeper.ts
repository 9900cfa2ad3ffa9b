import { createHash } from 'node:crypto'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FoldedSum } from '../attempt/attempt-records.ts'
import type { WeightedBody } from '../kernels/spooled-body.ts'
import type { UpdateRound } from '../kernels/update-round.ts'
import type { Budget } from '../log/budget.ts'
import { isMissing, syncFolder } from '../log/durable-files.ts'
import { failpoint } from '../log/failpoint.ts'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import { freshSalt, type LogKey } from '../log/log-key.ts'
import { type FileRange, RangeReader } from '../log/sealed-file.ts'
import { type Accumulator, openAccumulator } from './accumulator.ts'
import { isQueueFull, noRoomOf } from './worker-failures.ts'

const sliceBytes = 1024 * 1024

/** The sum files of one attempt, and the running sum that they are written from. */
export class SumKeeper implements Disposable {
  readonly #folder: string
  readonly #key: LogKey
  #accumulator: Accumulator | undefined

  constructor(folder: string, key: LogKey) {
    this.#folder = folder
    this.#key = key
  }

  /**
   * Makes the running sum: what the newest file holds, and the updates since.
   * @throws Error when the file is not of this round
   */
  async open(
    round: UpdateRound,
    memory: Budget,
    folded: FoldedSum | undefined,
    updates: readonly WeightedBody[],
  ): Promise<void> {
    const from =
      folded === undefined
        ? null
        : {
            path: join(this.#folder, folded.file),
            seal: this.#key.file(Buffer.from(folded.salt, 'hex')),
            totals: { updates: folded.updates, weight: BigInt(folded.weight) },
          }
    const accumulator = await openAccumulator(round, memory, from)
    this.#accumulator = accumulator
    for (const { body, weight } of updates) await this.add(body, weight)
  }

  /** @throws UpdateWorkersError where the update may be in the sum in part, or its body cannot be read */
  async add(body: FileRange, weight: number): Promise<void> {
    await patiently(() => this.#open().add(body, weight))
  }

  /**
   * Writes the sum to a file of its own, durably: nothing refers to it until it is on record.
   * @param through newest record whose update is in it
   */
  async fold(through: number): Promise<FoldedSum> {
    const file = `sum.${through}`
    const salt = freshSalt()
    const path = join(this.#folder, file)
    try {
      const { sha256, bytes, totals } = await patiently(() => this.#open().write(path, this.#key.file(salt)))
      await syncFolder(this.#folder)
      failpoint('fold.after-sum')
      return { file, sha256, bytes, updates: totals.updates, weight: `${totals.weight}`, salt: salt.toString('hex') }
    } catch (error) {
      await rm(path, { force: true })
      throw noRoomOf(error)
    }
  }

  /** Where a sum file's bytes lie. */
  range({ file, bytes, salt }: FoldedSum): FileRange {
    return { path: join(this.#folder, file), offset: 0, bytes, seal: this.#key.file(Buffer.from(salt, 'hex')) }
  }

  /**
   * Proves that a sum file still is what was recorded.
   * @throws LogCorruptError
   */
  async verify(sum: FoldedSum): Promise<void> {
    await verifyFile(this.range(sum), sum.sha256)
  }

  /** Removes sum files of records before `through`; a newer one may be under way. */
  async removeBefore(through: number): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const [, number] = /^sum\.(\d+)$/.exec(name) ?? []
      if (number !== undefined && Number(number) < through) await rm(join(this.#folder, name), { force: true })
    }
  }

  /** Removes every sum file but one; such as were never recorded, too. For when nothing is under way. */
  async keepOnly(file: string | undefined): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (name.startsWith('sum.') && name !== file) await rm(join(this.#folder, name), { force: true })
    }
  }

  [Symbol.dispose](): void {
    this.#accumulator?.[Symbol.dispose]()
    this.#accumulator = undefined
  }

  #open(): Accumulator {
    if (this.#accumulator === undefined) throw new Error('the sum is not open')
    return this.#accumulator
  }
}

const busyMillis = 20

/** Waits while the workers have too much to do: what is durable must get into the sum. */
const patiently = async <Result>(work: () => Promise<Result>): Promise<Result> => {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isQueueFull(error)) throw error
      await sleep(busyMillis)
    }
  }
}

/**
 * Proves that a durable file is whole and unchanged.
 * @throws LogCorruptError
 */
export const verifyFile = async (range: FileRange, sha256: string): Promise<void> => {
  const { path, offset, bytes } = range
  const size = await stat(path).then(
    found => found.size,
    error => {
      if (!isMissing(error)) throw error
      return -1
    },
  )
  if (size < offset + bytes) throw new LogCorruptError(`the file ${path} has ${size} bytes of ${offset + bytes}`)
  await using reader = await RangeReader.open(range)
  const hash = createHash('sha256')
  for (let start = 0; start < bytes; start += sliceBytes) {
    hash.update(await reader.range(start, Math.min(sliceBytes, bytes - start)))
  }
  if (hash.digest('hex') !== sha256) throw new LogCorruptError(`the file ${path} does not have its sha256`)
}
