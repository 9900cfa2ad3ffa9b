import type { Participation } from '@tributary/contracts/participation'
import type { AttemptLog } from './attempt-log.ts'
import type { Report } from './round/shard-state.ts'

/** A refusal that did not end a device's part: it may send again. */
export type Fault = { readonly code: string; readonly detail: string }

/** What is known of devices whose part did not end. */
export type Stragglers = {
  /** It sent only after the shard had closed. */
  readonly late: (device: string) => boolean
  /** A part of its update is there: it was too late. */
  readonly uploading: (device: string) => boolean
  /** Its last refusal. */
  readonly fault: (device: string) => Fault | undefined
}

/** Who took part and how it ended: one JSON object a line, ordered by device id. */
export async function* participationLines(log: AttemptLog, stragglers: Stragglers): AsyncGenerator<string> {
  for await (const device of log.devices()) {
    const found = await log.find(device)
    if (found === undefined) continue
    const { label, report } = found
    yield `${JSON.stringify({ device, label, ...(report === undefined ? ending(device, stragglers) : ended(report)) })}\n`
  }
}

type Row = Omit<Participation, 'device' | 'label'>

const ended = (report: Report): Row => {
  if (report.verdict === 'accepted') {
    const { examples, weight, bytes, seconds, sha256, metrics } = report
    const verdict = weight > 0 ? 'accepted' : 'empty'
    return { verdict, examples, weight, bytes, seconds, sha256, metrics }
  }
  if (report.verdict === 'invalid') {
    const { code, detail, bytes, sha256 } = report
    return { verdict: 'invalid', code, detail: detail.slice(0, 500), bytes, sha256 }
  }
  return { verdict: 'failed', code: report.code, detail: report.detail }
}

const ending = (device: string, { late, uploading, fault }: Stragglers): Row => {
  if (late(device)) return { verdict: 'late' }
  const last = fault(device)
  if (last !== undefined) return { verdict: 'invalid', ...last }
  return { verdict: uploading(device) ? 'late' : 'no-show' }
}
