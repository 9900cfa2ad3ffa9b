import type { Metric } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { MetricSums } from '@tributary/contracts/round'

const mostMetrics = 64

/** Metrics of a device as additive integers in decimal text, its number of examples among them. */
export const readMetrics = (
  metrics: readonly Metric[],
  examples: bigint,
): { readonly ok: true; readonly sums: MetricSums } | { readonly ok: false; readonly detail: string } => {
  if (metrics.length > mostMetrics) return { ok: false, detail: `at most ${mostMetrics} metrics` }
  const sums = new Map<string, string>()
  for (const { name, value } of metrics) {
    if (sums.has(name)) return { ok: false, detail: `metric ${JSON.stringify(name.slice(0, 48))} comes twice` }
    sums.set(name, `${value}`)
  }
  sums.set('examples', `${examples}`)
  const parsed = MetricSums.safeParse(Object.fromEntries(sums))
  // `__proto__` as a key is dropped without a word: what was read must be as many.
  return parsed.success && Object.keys(parsed.data).length === sums.size
    ? { ok: true, sums: parsed.data }
    : { ok: false, detail: 'metric names are lower-case letters, digits and _, at most 48' }
}
