import type { CheckInRequest } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { Ledger } from '../../status/ledger.ts'

/** What check-ins tell beside the state of work: in the ledger once, and again when it changes. */
export class SentReports {
  readonly #ledger: Ledger
  #datasets = ''

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** A node answered this check-in. */
  told({ datasets, failed }: CheckInRequest): void {
    for (const { code, detail } of failed) {
      this.#ledger.record({ kind: 'failure', verdict: code, ...(detail === '' ? {} : { detail }) })
    }
    const list = datasets.map(({ name, examples, heldOut }) => `${name}: ${examples}${heldOut ? ' held out' : ''}`)
    const text = list.join(', ').slice(0, 4096)
    if (text === this.#datasets) return
    this.#datasets = text
    this.#ledger.record({ kind: 'datasets', detail: text })
  }
}
