import { type Metric, type MetricName, metricNamespace, metrics } from '@tributary/contracts/metrics'
import { writeLine } from '../log.ts'

export type Samples = { readonly [Name in MetricName]?: number }

export type Metrics = {
  /** Adds a sample to each named metric. `dimensions` holds those of all of them; `function` is known. */
  add(samples: Samples, dimensions?: Readonly<Record<string, string>>): void
}

/**
 * Writes samples in CloudWatch's embedded metric format: one line of JSON on stdout, from which CloudWatch makes the metrics.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export const emfMetrics = (
  functionName: string,
  write: (line: string) => void = writeLine,
  now: () => number = Date.now,
): Metrics => ({
  add: (samples, dimensions = {}) => {
    const present = Object.entries(samples).filter(([, value]) => Number.isFinite(value)) as [MetricName, number][]
    if (present.length === 0) return
    const directives = present.map(([name]) => {
      const { unit, dimensions: names }: Metric = metrics[name]
      return { Namespace: metricNamespace, Dimensions: [names], Metrics: [{ Name: name, Unit: unit }] }
    })
    const line = {
      _aws: { Timestamp: now(), CloudWatchMetrics: directives },
      function: functionName,
      ...dimensions,
      ...Object.fromEntries(present),
    }
    write(JSON.stringify(line))
  },
})

/** Measures nothing. */
export const noMetrics: Metrics = { add: () => undefined }
