import { type Labels, PrometheusPage } from '@tributary/contracts/prometheus-page'

export type Metric = { readonly write: (page: PrometheusPage) => void }

/** A number that only grows. Label values come from a fixed set, never from outside. */
export class Counter implements Metric {
  readonly #name: string
  readonly #help: string
  readonly #series = new Map<string, { readonly labels: Labels; value: number }>()

  constructor(name: string, help: string) {
    this.#name = name
    this.#help = help
  }

  add(labels: Labels = {}, amount = 1): void {
    const key = Object.values(labels).join('\n')
    const series = this.#series.get(key)
    if (series === undefined) this.#series.set(key, { labels, value: amount })
    else series.value += amount
  }

  write(page: PrometheusPage): void {
    page.metric(this.#name, 'counter', this.#help)
    for (const { labels, value } of this.#series.values()) page.sample(this.#name, labels, value)
  }
}

/** A number that is read when it is asked for. */
export class Gauge implements Metric {
  readonly #name: string
  readonly #help: string
  readonly #read: () => number
  readonly #type: 'gauge' | 'counter'

  /** @param type `counter` for what only grows and is counted elsewhere */
  constructor(name: string, help: string, read: () => number, type: 'gauge' | 'counter' = 'gauge') {
    this.#name = name
    this.#help = help
    this.#read = read
    this.#type = type
  }

  write(page: PrometheusPage): void {
    page.metric(this.#name, this.#type, this.#help)
    page.sample(this.#name, {}, this.#read())
  }
}

export const prometheusText = (metrics: Iterable<Metric>): string => {
  const page = new PrometheusPage()
  for (const metric of metrics) metric.write(page)
  return page.toString()
}
