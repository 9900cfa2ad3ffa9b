import { type Metric, type MetricName, metrics, prometheusName } from '@tributary/contracts/metrics'
import { Histogram, type Labels, PrometheusPage } from '@tributary/contracts/prometheus-page'
import * as z from 'zod'

/** Upper ends of the buckets of a distribution, in seconds or MB/s. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1000] as const
const mostSeries = 10_000

const Line = z.looseObject({
  _aws: z.object({
    CloudWatchMetrics: z.array(
      z.object({
        Dimensions: z.array(z.array(z.string())),
        Metrics: z.array(z.object({ Name: z.string() })),
      }),
    ),
  }),
})

type Series = { readonly labels: Labels; value: number; readonly histogram: Histogram }

/** Whether a line of a function's log is a measurement and no text. */
export const isMetricLine = (line: string): boolean => line.startsWith('{"_aws":')

/** Adds up what functions measured (embedded metric format), as CloudWatch does, and shows it as Prometheus text. */
export class MetricStore {
  readonly #series = new Map<MetricName, Map<string, Series>>()
  #size = 0

  /** Takes one line; what is no measurement of the table is passed over. */
  take(line: string): void {
    const parsed = Line.safeParse(jsonOf(line))
    if (!parsed.success) return
    for (const { Dimensions, Metrics } of parsed.data._aws.CloudWatchMetrics) {
      for (const { Name } of Metrics) {
        const value = parsed.data[Name]
        if (!Object.hasOwn(metrics, Name) || typeof value !== 'number') continue
        for (const names of Dimensions) this.#add(Name as MetricName, labelsOf(names, parsed.data), value)
      }
    }
  }

  /** Prometheus text format, version 0.0.4. */
  text(): string {
    const page = new PrometheusPage()
    for (const [name, { kind, text }] of Object.entries(metrics) as [MetricName, Metric][]) {
      const shown = prometheusName(name)
      page.metric(shown, kind, text)
      for (const { labels, value, histogram } of this.#series.get(name)?.values() ?? []) {
        if (kind === 'histogram') histogram.write(page, shown, labels)
        else page.sample(shown, labels, value)
      }
    }
    return page.toString()
  }

  #add(name: MetricName, labels: Labels, value: number): void {
    const { kind, unit }: Metric = metrics[name]
    const all = this.#series.get(name) ?? new Map<string, Series>()
    this.#series.set(name, all)
    const key = Object.values(labels).join('\n')
    const found = all.get(key)
    if (found === undefined && this.#size >= mostSeries) return
    const series = found ?? { labels, value: 0, histogram: new Histogram(buckets) }
    if (found === undefined) {
      all.set(key, series)
      this.#size += 1
    }
    const scaled = unit === 'Milliseconds' ? value / 1000 : value
    series.value = kind === 'gauge' ? scaled : series.value + scaled
    series.histogram.observe(scaled)
  }
}

const jsonOf = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Texts from outside are cut. */
const labelsOf = (names: readonly string[], line: Readonly<Record<string, unknown>>): Labels =>
  Object.fromEntries(names.map(name => [name, textOf(line[name]).slice(0, 200)]))

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
