import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Answer, Done, Order, SimulatedDevice } from './orders.ts'

const program = fileURLToPath(new URL('devices.main.ts', import.meta.url))

/** Simulated devices in a process of their own. */
export class DeviceFleet implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(devices: readonly SimulatedDevice[], port: number): Promise<DeviceFleet> {
    const fleet = new DeviceFleet(fork(program, { serialization: 'advanced' }))
    await fleet.order({ kind: 'enrol', devices, port })
    return fleet
  }

  /** Has an order done. */
  async order(order: Order): Promise<Done> {
    const over = new AbortController()
    try {
      const ended = once(this.#child, 'exit', over).then(([code]) => {
        throw new Error(`the process of devices ended with ${code}`)
      })
      const answered = once(this.#child, 'message', over) as Promise<[Answer]>
      this.#child.send(order)
      const [answer] = await Promise.race([answered, ended])
      if ('failed' in answer) throw new Error(`devices, ${order.kind}: ${answer.failed}`)
      return answer.ok
    } finally {
      over.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    await exited
  }
}
