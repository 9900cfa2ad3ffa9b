import type { MetricSums } from '@tributary/contracts/round'
import { mostSumNames } from '@tributary/learning/evaluation/sum-names'
import { DeviceTable } from '../attempt/round/device-table.ts'
import { MetricTotals, mostMetricNames } from '../attempt/round/metric-totals.ts'
import type { EvaluationRecord } from './evaluation-records.ts'

/** All that evaluations count, and as many names again as devices make up for training. */
const mostNames = mostSumNames + mostMetricNames

const reported = 1
const failed = 2

type SummedEvent = Extract<EvaluationRecord, { kind: 'summed' }>['event']

/**
 * What the log says about one shard's part of an evaluation, in constant memory but for a table of the devices: the metrics of each
 * are in the log alone, and in the totals once they are durable there. As `ShardState`, it is built from records one by one; `apply`
 * is undone by `revert` where a record found no room, and made good by `settle`.
 */
export class EvaluationState {
  readonly #devices = new DeviceTable()
  readonly #totals = new MetricTotals(mostNames)
  #reports = 0
  summed: SummedEvent | undefined

  /** Devices whose metrics were taken. */
  get reports(): number {
    return this.#reports
  }

  /** Whether any device was heard of. */
  get isHeardOf(): boolean {
    return this.#devices.size > 0
  }

  /** Sums of the metrics that are durable. */
  get metrics(): MetricSums {
    return this.#totals.sums
  }

  hasReported(device: string): boolean {
    return this.#devices.get(device) === reported
  }

  hasFailed(device: string): boolean {
    return this.#devices.get(device) === failed
  }

  apply(record: EvaluationRecord): void {
    if (record.kind === 'reported') {
      this.#devices.set(record.device, reported)
      this.#reports += 1
    }
    if (record.kind === 'failed') this.#devices.set(record.device, failed)
    if (record.kind === 'summed') this.summed = record.event
  }

  revert(record: EvaluationRecord): void {
    if (record.kind === 'reported') this.#reports -= 1
    if (record.kind === 'reported' || record.kind === 'failed') this.#devices.set(record.device, 0)
    if (record.kind === 'summed') this.summed = undefined
  }

  settle(record: EvaluationRecord): void {
    if (record.kind === 'reported') this.#totals.add(record.metrics)
  }
}
