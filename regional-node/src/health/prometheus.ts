type Labels = Readonly<Record<string, string>>

const escapeLabel = (text: string): string => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
const labelText = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

export type Metric = { readonly lines: () => string[] }

const head = (name: string, help: string, type: string): string[] => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} ${type}`,
]

/** A number that only grows. Label values come from a fixed set, never from outside. */
export class Counter implements Metric {
  readonly #name: string
  readonly #help: string
  readonly #values = new Map<string, number>()

  constructor(name: string, help: string) {
    this.#name = name
    this.#help = help
  }

  add(labels: Labels = {}, amount = 1): void {
    const key = labelText(labels)
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount)
  }

  lines(): string[] {
    const values = [...this.#values].map(([labels, value]) => `${this.#name}${labels} ${value}`)
    return [...head(this.#name, this.#help, 'counter'), ...values]
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

  lines(): string[] {
    return [...head(this.#name, this.#help, this.#type), `${this.#name} ${this.#read()}`]
  }
}

/** Prometheus text format 0.0.4. https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const prometheusText = (metrics: Iterable<Metric>): string =>
  `${[...metrics].flatMap(metric => metric.lines()).join('\n')}\n`
