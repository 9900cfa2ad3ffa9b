import { wideEntries } from '@tributary/learning/evaluation/sums'
import type { Evaluated, MetricCollector, Wanted } from './metric-collector.ts'
import { UnitTotal } from './unit-total.ts'

/** What an error or a label counts for at most, and its square. */
const most = 2 ** 30
const mostSquare = 2 ** 60

/** Errors of numbers, each example's a mean over its outputs. */
export class RealCollector implements MetricCollector {
  readonly needsScores = true
  readonly #outputs: number
  readonly #absolute = new UnitTotal()
  readonly #squared: UnitTotal | undefined
  readonly #labels: { readonly sum: UnitTotal; readonly square: UnitTotal } | undefined
  #examples = 0

  /** @param outputs numbers that one example has */
  constructor(outputs: number, wanted: Wanted) {
    this.#outputs = outputs
    this.#squared = wanted('rmse') || wanted('r2') ? new UnitTotal() : undefined
    this.#labels = wanted('r2') ? { sum: new UnitTotal(), square: new UnitTotal() } : undefined
  }

  add({ scores, labels }: Evaluated): void {
    const outputs = this.#outputs
    for (let start = 0; start < labels.length; start += outputs) {
      let [absolute, squared, sum, square] = [0, 0, 0, 0]
      for (let at = start; at < start + outputs; at++) {
        const label = Number(labels[at])
        const error = Number(scores[at]) - label
        absolute += Math.abs(error)
        squared += error * error
        sum += label
        square += label * label
      }
      this.#absolute.add(absolute / outputs, most)
      this.#squared?.add(squared / outputs, mostSquare)
      this.#labels?.sum.add(sum / outputs, most)
      this.#labels?.square.add(square / outputs, mostSquare)
      this.#examples += 1
    }
  }

  sums(): [string, bigint][] {
    const examples = BigInt(this.#examples)
    const labels = this.#labels
    return [
      ...wideEntries('absolute_error_q20', this.#absolute.units),
      ...(this.#squared === undefined
        ? []
        : [['error_examples', examples] as [string, bigint], ...wideEntries('squared_error_q20', this.#squared.units)]),
      ...(labels === undefined
        ? []
        : [
            ['label_examples', examples] as [string, bigint],
            ...wideEntries('label_q20', labels.sum.units),
            ...wideEntries('label_square_q20', labels.square.units),
          ]),
    ]
  }
}
