import { SeededRandom } from '@tributary/learning/seeded/random'
import { deriveSeed } from '@tributary/learning/seeded/seed'

/** Choices of one simulated history: all from its seed. */
export class Draw {
  readonly #random: SeededRandom

  constructor(seed: number) {
    this.#random = new SeededRandom(deriveSeed('explorer', seed))
  }

  below(bound: number): number {
    return this.#random.below(bound)
  }

  between(least: number, most: number): number {
    return least + this.#random.below(most - least + 1)
  }

  chance(probability: number): boolean {
    return this.#random.unit() < probability
  }

  oneOf<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.#random.below(list.length)]
  }
}
