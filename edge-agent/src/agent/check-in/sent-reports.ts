import type { CheckInRequest } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { describeTold } from '../../data/describe-told.ts'
import type { ToldData } from '../../data/told-data.ts'
import type { Ledger } from '../../status/ledger.ts'

const mostText = 4096

/** What check-ins tell beside the state of work: in the ledger once, and again when it changes. */
export class SentReports {
  readonly #ledger: Ledger
  #datasets = ''
  #described = ''
  /** By deployment. */
  #personal: ReadonlyMap<string, string> = new Map()

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** A node answered this check-in, which told that of data. */
  told({ datasets, failed, descriptions, deployments }: CheckInRequest, data: ToldData): void {
    this.#toldPersonal(deployments)
    for (const { code, detail, logTail } of failed) {
      const text = [detail, logTail && `Log: ${logTail}`].filter(part => part !== '').join('\n')
      this.#ledger.record({ kind: 'failure', verdict: code, ...(text === '' ? {} : { detail: text }) })
    }
    const list = datasets.map(({ name, examples, heldOut }) => `${name}: ${examples}${heldOut ? ' held out' : ''}`)
    const text = list.join(', ').slice(0, mostText)
    if (text !== this.#datasets) {
      this.#datasets = text
      this.#ledger.record({ kind: 'datasets', detail: text })
    }
    if (descriptions === undefined || descriptions.digest === this.#described) return
    this.#described = descriptions.digest
    const told = data.descriptions.map(description => `${description.name}: ${describeTold(description).join('; ')}`)
    const detail = (told.join(' | ') || 'nothing beside names and counts').slice(0, mostText)
    this.#ledger.record({ kind: 'descriptions', sha256: descriptions.digest, detail })
  }
  #toldPersonal(deployments: CheckInRequest['deployments']): void {
    const told = new Map<string, string>()
    for (const { deployment, personalised } of deployments) {
      if (personalised === undefined) continue
      const { outcome, code, detail, examples } = personalised
      const text = [`deployment ${deployment}`, code, detail].filter(part => part !== '').join(', ')
      const metrics = examples === undefined ? [] : ['examples', 'loss', 'accuracy']
      const key = JSON.stringify([outcome, text, metrics])
      told.set(deployment, key)
      if (this.#personal.get(deployment) === key) continue
      this.#ledger.record({ kind: 'personalisation', verdict: outcome, metrics, detail: text })
    }
    this.#personal = told
  }
}
