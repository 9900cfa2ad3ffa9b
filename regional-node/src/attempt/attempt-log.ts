import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import type { Account } from '../log/budget.ts'
import { LogCorruptError, LogEmptyError } from '../log/log-corrupt-error.ts'
import type { LogKey } from '../log/log-key.ts'
import { openLog, type WriteAheadLog } from '../log/write-ahead-log.ts'
import { type AttemptRecord, decodeAttemptRecord, encodeAttemptRecord } from './attempt-records.ts'
import { DeviceTable } from './round/device-table.ts'
import type { Report } from './round/shard-state.ts'

export type Opening = { readonly descriptor: RoundDescriptor; readonly plan: ShardPlan }

export type AttemptLogOptions = {
  readonly key: LogKey
  /** Names the log: no two attempts of a shard have the same. */
  readonly name: string
  readonly onFailure: (error: unknown) => void
  readonly room: Account
}

/**
 * The log of one attempt, and where in it each device's last record is. It is also the list of included updates: a fold makes
 * bodies needless, never records, so every receipt can be given again without being kept in memory.
 */
export class AttemptLog {
  readonly #log: WriteAheadLog
  /** Offset of the newest record of each device. */
  readonly #offsets: DeviceTable
  /** The record of a selection that was read last: neighbours in a list are often of one. */
  #selection: { readonly offset: number; readonly labels: ReadonlyMap<string, string> } | undefined

  private constructor(log: WriteAheadLog, offsets: DeviceTable) {
    this.#log = log
    this.#offsets = offsets
  }

  /**
   * Opens the log in a folder: a new one for `opening`, or what is there.
   * @param begin called first, with what the log begins with
   * @param replay called with each further record, in order
   * @throws LogCorruptError
   * @throws LogEmptyError where there is neither
   */
  static async open(
    folder: string,
    { key, name, onFailure, room }: AttemptLogOptions,
    opening: Opening | undefined,
    begin: (opening: Opening) => void,
    replay: (number: number, record: AttemptRecord) => void,
  ): Promise<AttemptLog> {
    const offsets = new DeviceTable()
    let newest = 0
    const log = await openLog(join(folder, 'log'), { seal: key.records(name), onFailure, room }, (raw, offset) => {
      const { number, record } = decodeAttemptRecord(raw)
      if (number <= newest || (newest === 0) !== (record.kind === 'opened')) {
        throw new LogCorruptError(`record ${number} (${record.kind}) of the log is out of place`)
      }
      newest = number
      if (record.kind === 'opened') begin(record)
      else replay(number, record)
      place(offsets, record, offset)
    })
    try {
      if (newest === 0) {
        if (opening === undefined) throw new LogEmptyError('the log has no beginning')
        begin(opening)
        await log.append(encodeAttemptRecord(1, { kind: 'opened', ...opening }))
      }
      return new AttemptLog(log, offsets)
    } catch (error) {
      await log.close()
      throw error
    }
  }

  /**
   * Resolves once the record is durable.
   * @throws NoRoomError
   */
  async append(number: number, record: AttemptRecord): Promise<void> {
    place(this.#offsets, record, await this.#log.append(encodeAttemptRecord(number, record)))
  }

  /** How a device's part ended, and the label it was selected by; read from the disk. Undefined where no record of it is durable. */
  async find(device: string): Promise<{ label: string; report?: Report } | undefined> {
    const offset = this.#offsets.get(device)
    if (offset === 0) return undefined
    const label = this.#selection?.offset === offset ? this.#selection.labels.get(device) : undefined
    if (label !== undefined) return { label }
    const { record } = decodeAttemptRecord(await this.#log.read(offset))
    if (record.kind === 'selected') {
      const labels = new Map(record.devices.map(selected => [selected.device, selected.label]))
      this.#selection = { offset, labels }
      return { label: labels.get(device) ?? '' }
    }
    const report = reportOf(record)
    if (report?.device !== device) throw new LogCorruptError(`the log has another record than that of ${device}`)
    return { label: report.label, report }
  }

  /** Devices with a durable record, by id. */
  devices(): AsyncGenerator<string> {
    return this.#offsets.sorted(setImmediate)
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

const reportOf = (record: AttemptRecord): Report | undefined => {
  if (record.kind === 'accepted' || record.kind === 'invalid' || record.kind === 'failed') {
    const { kind: verdict, ...rest } = record
    return { verdict, ...rest } as Report
  }
  return undefined
}

const place = (offsets: DeviceTable, record: AttemptRecord, offset: number): void => {
  if (record.kind === 'selected') for (const { device } of record.devices) offsets.set(device, offset)
  const report = reportOf(record)
  if (report !== undefined) offsets.set(report.device, offset)
}
