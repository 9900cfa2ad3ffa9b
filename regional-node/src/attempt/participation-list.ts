import type { Participation } from '@tributary/contracts/participation'
import type { ShardState } from './shard-state.ts'

/** A refusal that did not end a device's part: it may send again. */
export type Fault = { readonly code: string; readonly detail: string }

/**
 * Who took part and how it ended: one JSON object a line, ordered by device id.
 * @param late devices that began to send after the shard had closed
 * @param uploading devices of which a part of an update is there: they were too late
 * @param faults last refusal of devices that did not report in the end
 */
export const participationLines = (
  { selected, reports }: ShardState,
  {
    late,
    uploading,
    faults,
  }: {
    late: ReadonlySet<string>
    uploading: (device: string) => boolean
    faults: ReadonlyMap<string, Fault>
  },
): string => {
  const rows = [...selected].map(([device, label]): Participation => {
    const report = reports.get(device)
    if (report?.verdict === 'accepted') {
      const { examples, weight, bytes, seconds, sha256, metrics } = report
      const verdict = weight > 0 ? 'accepted' : 'empty'
      return { device, label, verdict, examples, weight, bytes, seconds, sha256, metrics }
    }
    if (report?.verdict === 'invalid') {
      const { code, detail, bytes, sha256 } = report
      return { device, label, verdict: 'invalid', code, detail: detail.slice(0, 500), bytes, sha256 }
    }
    if (report?.verdict === 'failed') {
      return { device, label, verdict: 'failed', code: report.code, detail: report.detail }
    }
    if (late.has(device)) return { device, label, verdict: 'late' }
    const fault = faults.get(device)
    if (fault !== undefined) return { device, label, verdict: 'invalid', ...fault }
    return { device, label, verdict: uploading(device) ? 'late' : 'no-show' }
  })
  rows.sort((a, b) => (a.device < b.device ? -1 : 1))
  return rows.map(row => `${JSON.stringify(row)}\n`).join('')
}
