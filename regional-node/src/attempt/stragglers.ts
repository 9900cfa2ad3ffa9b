import type { UpdateSpool } from '../log/update-spool.ts'
import type { Fault, Stragglers as Seen } from './participation-list.ts'
import { DeviceTable } from './round/device-table.ts'
import type { ShardState } from './round/shard-state.ts'

/** Refusals that are remembered in words; of more devices than these only the number of faults shows, in the metrics. */
const mostFaults = 4096

/** What is known, until a restart, of devices whose part has not ended. */
export class Stragglers {
  readonly #state: ShardState
  readonly #late = new DeviceTable()
  readonly #faults = new Map<string, Fault>()

  constructor(state: ShardState) {
    this.#state = state
  }

  /** A refusal after which the device may send again. */
  noteFault(device: string, { code, detail }: Fault): void {
    if (!this.#faults.has(device) && this.#faults.size >= mostFaults) return
    this.#faults.set(device, { code, detail: detail.slice(0, 500) })
  }

  /** A selected device that sent only after the shard had closed. */
  noteLate(device: string): void {
    if (this.#state.closing !== undefined && this.#state.awaits(device)) this.#late.set(device, 1)
  }

  withSpool(spool: UpdateSpool): Seen {
    return {
      late: device => this.#late.has(device),
      uploading: device => spool.has(device),
      fault: device => this.#faults.get(device),
    }
  }
}
