/** From how many updates, or bytes of them, that lie in the spool on, they are folded into a sum file. */
export type FoldLimits = { readonly updates: number; readonly bytes: number }

type Fold = { readonly through: number; step: 'settling' | 'writing' | 'logging' }

/** Updates whose bodies the node still needs, and the fold that runs. What is accepted while one runs is held back from the sum. */
export class Unfolded {
  readonly #limits: FoldLimits
  /** By record, in order. */
  #updates: { readonly number: number; readonly bytes: number }[] = []
  #bytes = 0
  #fold: Fold | undefined

  constructor(limits: FoldLimits) {
    this.#limits = limits
  }

  get fold(): Fold | undefined {
    return this.#fold
  }

  get updates(): number {
    return this.#updates.length
  }

  get isDue(): boolean {
    return this.#updates.length >= this.#limits.updates || this.#bytes >= this.#limits.bytes
  }

  /** Whether the update of a record must wait until the fold that runs has its file. */
  holds(number: number): boolean {
    return this.#fold !== undefined && this.#fold.step !== 'logging' && number > this.#fold.through
  }

  count(number: number, bytes: number): void {
    this.#updates.push({ number, bytes })
    this.#bytes += bytes
  }

  begin(through: number): void {
    this.#fold = { through, step: 'settling' }
  }

  /** The record of a fold is durable. */
  end(through: number): void {
    this.#updates = this.#updates.filter(({ number }) => number > through)
    this.#bytes = this.#updates.reduce((sum, { bytes }) => sum + bytes, 0)
    this.#fold = undefined
  }

  /** There was no room for it: everything is as before. */
  giveUp(): void {
    this.#fold = undefined
  }
}
