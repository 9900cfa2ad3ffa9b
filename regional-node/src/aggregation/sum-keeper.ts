import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FoldedSum } from '../attempt/attempt-records.ts'
import { backoffMillis } from '../clock.ts'
import type { SumFile } from '../kernels/spooled-body.ts'
import type { UpdateRound } from '../kernels/update-round.ts'
import type { Budget } from '../log/budget.ts'
import { syncFolder } from '../log/durable-files.ts'
import { failpoint } from '../log/failpoint.ts'
import { freshSalt, type LogKey } from '../log/log-key.ts'
import type { FileRange } from '../log/sealed-file.ts'
import { type Accumulator, openAccumulator } from './accumulator.ts'
import { verifyFile } from './verify-file.ts'
import { isPassing, isQueueFull, isSumLost, noRoomOf } from './worker-failures.ts'

/** A durable update: where its body lies, and its hash. */
export type CountedBody = { readonly body: FileRange; readonly sha256: string; readonly weight: number }

export type SumKeeperOptions = {
  /** Where the files lie. */
  readonly folder: string
  readonly key: LogKey
  /** Bytes of the files, counted in any case: without a sum file no body would ever go. */
  readonly spoolRoom: Budget
  /** Bytes of sums in memory. */
  readonly sumMemory: Budget
}

const busyMillis = 20
/** How often a sum is made anew, or begun on, before the node gives up. */
const mostTries = 5

/**
 * The sum files of one attempt, and the running sum that they are written from. A running sum that was spoilt (a thread died in the
 * middle of an addition, a file could not be read) is made anew from the newest file and the bodies since; only damage to these
 * shows outside.
 */
export class SumKeeper implements Disposable {
  readonly #options: SumKeeperOptions
  /** Room of the files that are there. */
  readonly #rooms = new Map<string, Disposable>()
  #round: UpdateRound | undefined
  #accumulator: Accumulator | undefined
  #remaking: Promise<void> | undefined
  /** Why there can be no sum any more. */
  #failure: { readonly error: unknown } | undefined
  /** What the running sum is made of: the newest file, and the bodies that were added since. */
  #newest: FoldedSum | undefined
  #since: CountedBody[] = []

  constructor(options: SumKeeperOptions) {
    this.#options = options
  }

  /**
   * Makes the running sum: what the newest file holds, and the updates since. Again, after it failed, is fine.
   * @throws LogCorruptError where the file is not what was recorded
   * @throws Error when the file is not of this round
   */
  async open(round: UpdateRound, newest: FoldedSum | undefined, updates: readonly CountedBody[]): Promise<void> {
    this.#accumulator?.[Symbol.dispose]()
    this.#accumulator = undefined
    this.#failure = undefined
    this.#round = round
    this.#newest = newest
    this.#since = []
    this.#accumulator = await openAccumulator(round, this.#options, this.#fileOf(newest)).catch(
      async (error: unknown) => {
        // Whatever kept a thread from reading it: a file that is damaged will not be whole later.
        if (newest !== undefined && isSumLost(error)) await verifyFile(this.range(newest), newest.sha256)
        throw error
      },
    )
    for (const update of updates) await this.add(update)
  }

  /**
   * Adds an update; resolves once it is in the sum.
   * @throws LogCorruptError where the sum had to be made anew, and what it is made of is not there any more
   */
  async add(update: CountedBody): Promise<void> {
    while (this.#remaking !== undefined) await this.#remaking
    this.#since.push(update)
    const accumulator = this.#open()
    try {
      await patiently(() => accumulator.add(update.body, update.weight))
    } catch (error) {
      if (!isSumLost(error)) throw error
      // It is among those of which the sum is made.
      await this.#remake(accumulator, error)
    }
  }

  /**
   * Writes the sum to a file of its own, durably: nothing refers to it until it is on record. Nothing may be added meanwhile.
   * @param through newest record whose update is in it
   * @throws NoRoomError
   * @throws LogCorruptError as `add`
   */
  async fold(through: number): Promise<FoldedSum> {
    const { folder, key } = this.#options
    const file = `sum.${through}`
    const path = join(folder, file)
    for (let tries = 1; ; tries += 1) {
      const accumulator = this.#open()
      const salt = freshSalt()
      this.#count(file, this.#round?.fileBytes ?? 0)
      try {
        const { sha256, bytes, totals } = await patiently(() => accumulator.write(path, key.file(salt)))
        await syncFolder(folder)
        failpoint('fold.after-sum')
        const weight = `${totals.weight}`
        this.#newest = { file, sha256, bytes, updates: totals.updates, weight, salt: salt.toString('hex') }
        this.#since = []
        return this.#newest
      } catch (cause) {
        await this.#remove(file)
        const error = noRoomOf(cause)
        if (error !== cause || !isSumLost(error) || tries === mostTries) throw error
        await this.#remake(accumulator, error)
      }
    }
  }

  /** Where a sum file's bytes lie. */
  range({ file, bytes, salt }: FoldedSum): FileRange {
    const { folder, key } = this.#options
    return { path: join(folder, file), offset: 0, bytes, seal: key.file(Buffer.from(salt, 'hex')) }
  }

  /**
   * Proves that a sum file still is what was recorded, and counts it.
   * @throws LogCorruptError
   */
  async verify(sum: FoldedSum): Promise<void> {
    await verifyFile(this.range(sum), sum.sha256)
    this.#count(sum.file, sum.bytes)
  }

  /** Removes sum files of records before `through`; a newer one may be under way. */
  async removeBefore(through: number): Promise<void> {
    for (const name of await readdir(this.#options.folder)) {
      const [, number] = /^sum\.(\d+)$/.exec(name) ?? []
      if (number !== undefined && Number(number) < through) await this.#remove(name)
    }
  }

  /** Removes every sum file but one; such as were never recorded, too. For when nothing is under way. */
  async keepOnly(file: string | undefined): Promise<void> {
    for (const name of await readdir(this.#options.folder)) {
      if (name.startsWith('sum.') && name !== file) await this.#remove(name)
    }
  }

  /** Ends the running sum. Files stay; their room is given back. */
  [Symbol.dispose](): void {
    this.#accumulator?.[Symbol.dispose]()
    this.#accumulator = undefined
    for (const room of this.#rooms.values()) room[Symbol.dispose]()
    this.#rooms.clear()
  }

  #open(): Accumulator {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#accumulator === undefined) throw new Error('the sum is not open')
    return this.#accumulator
  }

  /** Makes the sum anew, once for all who find the same one lost. */
  async #remake(lost: Accumulator, cause: unknown): Promise<void> {
    if (this.#accumulator === lost) {
      this.#accumulator = undefined
      lost[Symbol.dispose]()
      this.#remaking = this.#makeAnew()
        .catch((error: unknown) => {
          this.#failure = { error }
          throw error
        })
        .finally(() => {
          this.#remaking = undefined
        })
    } else if (this.#remaking === undefined && this.#accumulator === undefined) throw cause
    await this.#remaking
  }

  async #makeAnew(): Promise<void> {
    const round = this.#round
    if (round === undefined) throw new Error('the sum is not open')
    if (this.#newest !== undefined) await verifyFile(this.range(this.#newest), this.#newest.sha256)
    for (const { body, sha256 } of this.#since) await verifyFile(body, sha256)
    for (let tries = 0; ; tries += 1) {
      using made = new DisposableStack()
      try {
        const accumulator = made.use(await openAccumulator(round, this.#options, this.#fileOf(this.#newest)))
        for (const { body, weight } of this.#since) await patiently(() => accumulator.add(body, weight))
        this.#accumulator = accumulator
        made.move()
        return
      } catch (error) {
        if (!isPassing(error) || tries + 1 === mostTries) throw error
      }
      await sleep(backoffMillis(tries, 100, 2000))
    }
  }

  #fileOf(sum: FoldedSum | undefined): SumFile | null {
    if (sum === undefined) return null
    const { folder, key } = this.#options
    const totals = { updates: sum.updates, weight: BigInt(sum.weight) }
    const { sha256 } = sum
    return { path: join(folder, sum.file), sha256, seal: key.file(Buffer.from(sum.salt, 'hex')), totals }
  }

  #count(file: string, bytes: number): void {
    if (!this.#rooms.has(file)) this.#rooms.set(file, this.#options.spoolRoom.takeExisting(bytes))
  }

  async #remove(file: string): Promise<void> {
    await rm(join(this.#options.folder, file), { force: true })
    this.#rooms.get(file)?.[Symbol.dispose]()
    this.#rooms.delete(file)
  }
}

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
