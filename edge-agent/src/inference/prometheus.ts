type Labels = Readonly<Record<string, string>>

const escapeLabel = (text: string): string => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')

const labelText = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join()}}`
}

/** Prometheus text format 0.0.4. https://prometheus.io/docs/instrumenting/exposition_formats/ */
export class PrometheusPage {
  readonly #lines: string[] = []

  metric(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
  }

  sample(name: string, labels: Labels, value: number): void {
    this.#lines.push(`${name}${labelText(labels)} ${value}`)
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`
  }
}

/** Counts of values by upper bound. */
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
    let count = 0
    for (const [index, own] of this.#counts.entries()) {
      count += own
      page.sample(`${name}_bucket`, { ...labels, le: String(this.#bounds[index] ?? '+Inf') }, count)
    }
    page.sample(`${name}_sum`, labels, this.#sum)
    page.sample(`${name}_count`, labels, count)
  }
}
