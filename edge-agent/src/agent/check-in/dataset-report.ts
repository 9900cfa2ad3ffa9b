import type { Logger } from 'pino'
import type { DatasetSummary, Datasets } from '../../data/datasets.ts'

const freshMillis = 30_000

/** Names and counts of the data sets, looked up again now and then: the owner may replace files while the agent runs. */
export class DatasetReport {
  readonly #datasets: Datasets
  readonly #log: Logger
  readonly #faults = new Map<string, string>()
  #summaries: { name: string; heldOut: boolean; examples: bigint }[] = []
  #readAt = Number.NEGATIVE_INFINITY

  constructor(datasets: Datasets, log: Logger) {
    this.#datasets = datasets
    this.#log = log
  }

  async read(): Promise<readonly { name: string; heldOut: boolean; examples: bigint }[]> {
    if (performance.now() - this.#readAt < freshMillis) return this.#summaries
    const summaries: DatasetSummary[] = await this.#datasets.summaries((name, error) => this.#fault(name, error))
    this.#summaries = summaries.map(({ name, heldOut, examples }) => ({ name, heldOut, examples: BigInt(examples) }))
    for (const { name } of summaries) this.#faults.delete(name)
    this.#readAt = performance.now()
    return this.#summaries
  }

  // Once for each fault, not at every look.
  #fault(name: string, error: Error): void {
    if (this.#faults.get(name) === error.message) return
    this.#faults.set(name, error.message)
    this.#log.error({ dataset: name, err: error }, 'a data set cannot be used; the others can')
  }
}
