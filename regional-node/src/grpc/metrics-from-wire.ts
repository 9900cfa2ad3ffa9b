import type { Metric } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { MetricSums } from '@tributary/contracts/round'

/** Of names that only the sender knows. */
const mostMetrics = 64

/**
 * Metrics of a device as additive integers in decimal text, its number of examples among them.
 * @param isKnown names of which there may be any number, each once. @default none
 */
export const readMetrics = (
  metrics: readonly Metric[],
  examples: bigint,
  isKnown: (name: string) => boolean = () => false,
): { readonly ok: true; readonly sums: MetricSums } | { readonly ok: false; readonly detail: string } => {
  const sums = new Map<string, string>()
  let unknown = 0
  for (const { name, value } of metrics) {
    if (!isKnown(name)) unknown += 1
    if (unknown > mostMetrics) return { ok: false, detail: `at most ${mostMetrics} metrics` }
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
