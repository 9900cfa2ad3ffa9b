import type { AcceptedUpdate } from '../attempt-records.ts'

/** From how many updates, or bytes of them, that lie in the spool on, they are folded into a sum file. */
export type FoldLimits = { readonly updates: number; readonly bytes: number }

type Fold = { readonly through: number; step: 'settling' | 'writing' | 'logging' }
type Addition = { readonly number: number; readonly update: AcceptedUpdate }

/**
 * What is known of the sum without holding it: durable updates that are being added, those whose bodies the node still needs since no
 * file on record holds them, and the fold that runs. What becomes durable while one runs is held back until it has its file.
 */
export class RunningSum {
  readonly #limits: FoldLimits
  readonly #adding = new Map<number, AcceptedUpdate>()
  #held: Addition[] = []
  /** Updates that no file on record holds, by record. */
  #unfolded: { readonly number: number; readonly bytes: number }[] = []
  #unfoldedBytes = 0
  #fold: Fold | undefined

  constructor(limits: FoldLimits) {
    this.#limits = limits
  }

  get fold(): Fold | undefined {
    return this.#fold
  }

  /** Updates that no file on record holds. */
  get unfolded(): number {
    return this.#unfolded.length
  }

  get isFoldDue(): boolean {
    return this.#unfolded.length >= this.#limits.updates || this.#unfoldedBytes >= this.#limits.bytes
  }

  /** Whether every durable update is in the sum. */
  get isQuiet(): boolean {
    return this.#adding.size === 0 && this.#held.length === 0
  }

  /** Counts a durable update, which is to be added, or was before a restart. */
  count(number: number, bytes: number): void {
    this.#unfolded.push({ number, bytes })
    this.#unfoldedBytes += bytes
  }

  /** The additions that may begin, now that this one is wanted. */
  want(addition: Addition): Addition[] {
    if (this.#fold !== undefined && this.#fold.step !== 'logging' && addition.number > this.#fold.through) {
      this.#held.push(addition)
      return []
    }
    this.#adding.set(addition.number, addition.update)
    return [addition]
  }

  /** The update of a record is in the sum; gives it back. */
  added(number: number): AcceptedUpdate | undefined {
    const update = this.#adding.get(number)
    this.#adding.delete(number)
    return update
  }

  isAddingThrough(through: number): boolean {
    for (const number of this.#adding.keys()) if (number <= through) return true
    return false
  }

  beginFold(through: number): void {
    this.#fold = { through, step: 'settling' }
  }

  /** The fold has its file, and what was held back may be added: gives it back. */
  fileWritten(): Addition[] {
    if (this.#fold !== undefined) this.#fold.step = 'logging'
    return this.#release()
  }

  /** The record of a fold is durable. */
  endFold(through: number): void {
    this.#unfolded = this.#unfolded.filter(({ number }) => number > through)
    this.#unfoldedBytes = this.#unfolded.reduce((sum, { bytes }) => sum + bytes, 0)
    this.#fold = undefined
  }

  /** There was no room for it: everything is as before, and what was held back may be added. */
  giveUpFold(): Addition[] {
    this.#fold = undefined
    return this.#release()
  }

  #release(): Addition[] {
    const held = this.#held
    this.#held = []
    return held.flatMap(addition => this.want(addition))
  }
}
