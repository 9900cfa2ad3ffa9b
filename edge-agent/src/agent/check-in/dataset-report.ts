import type { Logger } from 'pino'
import type { Datasets } from '../../data/datasets.ts'
import type { DescribedDataset } from '../../data/describe-dataset.ts'
import { type ToldData, toldData } from '../../data/told-data.ts'
import type { PolicyGate } from '../../policy/policy-gate.ts'

const freshMillis = 30_000

/** What check-ins tell about the data sets, looked up again once one was converted, and now and then: the owner may replace files. */
export class DatasetReport {
  readonly #datasets: Pick<Datasets, 'describe' | 'conversions'>
  readonly #policy: Pick<PolicyGate, 'shareNow'>
  readonly #log: Logger
  readonly #faults = new Map<string, string>()
  #found: readonly DescribedDataset[] = []
  #readAt = Number.NEGATIVE_INFINITY
  #conversions = 0

  constructor(datasets: Pick<Datasets, 'describe' | 'conversions'>, policy: Pick<PolicyGate, 'shareNow'>, log: Logger) {
    this.#datasets = datasets
    this.#policy = policy
    this.#log = log
  }

  async read(): Promise<ToldData> {
    const { conversions } = this.#datasets
    if (performance.now() - this.#readAt >= freshMillis || conversions !== this.#conversions) {
      this.#conversions = conversions
      this.#found = await this.#datasets.describe((name, error) => this.#fault(name, error))
      for (const { name } of this.#found) this.#faults.delete(name)
      this.#readAt = performance.now()
    }
    // The policy holds at once, whenever it changes.
    return toldData(this.#found, await this.#policy.shareNow())
  }

  // Once for each fault, not at every look.
  #fault(name: string, error: Error): void {
    if (this.#faults.get(name) === error.message) return
    this.#faults.set(name, error.message)
    this.#log.error({ dataset: name, err: error }, 'a data set cannot be used; the others can')
  }
}
