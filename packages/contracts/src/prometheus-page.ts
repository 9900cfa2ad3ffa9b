export type Labels = Readonly<Record<string, string>>

/** Values counted by upper bound: `counts[i]` are those up to `bounds[i]` and above the bound before; one more counts the rest. */
export type Distribution = {
  /** Ascending. */
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
  readonly sum: number
}

/** A page in Prometheus' text format 0.0.4. https://prometheus.io/docs/instrumenting/exposition_formats/ */
export class PrometheusPage {
  readonly #lines: string[] = []

  /** Begins a metric; its samples follow. */
  metric(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
  }

  sample(name: string, labels: Labels, value: number): void {
    this.#lines.push(`${name}${labelText(labels)} ${value}`)
  }

  distribution(name: string, labels: Labels, { bounds, counts, sum }: Distribution): void {
    let count = 0
    for (const [index, own] of counts.entries()) {
      count += own
      this.sample(`${name}_bucket`, { ...labels, le: String(bounds[index] ?? '+Inf') }, count)
    }
    this.sample(`${name}_sum`, labels, sum)
    this.sample(`${name}_count`, labels, count)
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`
  }
}

const labelText = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join()}}`
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

/** Counts of values by upper bound, as they come in. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  /** @param bounds ascending; one of infinity is added */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    const found = this.#bounds.findIndex(bound => value <= bound)
    const at = found === -1 ? this.#bounds.length : found
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#sum += value
  }

  write(page: PrometheusPage, name: string, labels: Labels): void {
    page.distribution(name, labels, { bounds: this.#bounds, counts: this.#counts, sum: this.#sum })
  }
}
