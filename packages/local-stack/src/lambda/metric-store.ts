import { type Metric, type MetricName, metrics, prometheusName } from '@tributary/contracts/metrics'
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

type Series = { readonly labels: string; value: number; count: number; readonly counts: number[] }

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
    const lines: string[] = []
    for (const [name, { kind, text }] of Object.entries(metrics) as [MetricName, Metric][]) {
      const shown = prometheusName(name)
      lines.push(`# HELP ${shown} ${text}`, `# TYPE ${shown} ${kind}`)
      for (const series of this.#series.get(name)?.values() ?? []) {
        lines.push(
          ...(kind === 'histogram'
            ? distribution(shown, series)
            : [`${shown}${braced(series.labels)} ${series.value}`]),
        )
      }
    }
    return `${lines.join('\n')}\n`
  }

  #add(name: MetricName, labels: string, value: number): void {
    const { kind, unit }: Metric = metrics[name]
    const all = this.#series.get(name) ?? new Map<string, Series>()
    this.#series.set(name, all)
    const found = all.get(labels)
    if (found === undefined && this.#size >= mostSeries) return
    const series = found ?? { labels, value: 0, count: 0, counts: buckets.map(() => 0) }
    if (found === undefined) {
      all.set(labels, series)
      this.#size += 1
    }
    const scaled = unit === 'Milliseconds' ? value / 1000 : value
    series.value = kind === 'gauge' ? scaled : series.value + scaled
    series.count += 1
    const bucket = buckets.findIndex(end => scaled <= end)
    if (bucket >= 0) series.counts[bucket] = (series.counts[bucket] ?? 0) + 1
  }
}

const jsonOf = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const labelsOf = (names: readonly string[], line: Readonly<Record<string, unknown>>): string =>
  names.map(name => `${name}="${escaped(textOf(line[name]))}"`).join(',')

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const escaped = (value: string): string =>
  value.slice(0, 200).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

const braced = (labels: string): string => (labels === '' ? '' : `{${labels}}`)

const distribution = (name: string, { labels, value, count, counts }: Series): readonly string[] => {
  let below = 0
  const first = labels === '' ? '' : `${labels},`
  const lines = buckets.map((end, index) => {
    below += counts[index] ?? 0
    return `${name}_bucket{${first}le="${end}"} ${below}`
  })
  return [
    ...lines,
    `${name}_bucket{${first}le="+Inf"} ${count}`,
    `${name}_sum${braced(labels)} ${value}`,
    `${name}_count${braced(labels)} ${count}`,
  ]
}
