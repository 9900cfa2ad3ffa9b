import { setTimeout as delay } from 'node:timers/promises'
import { type OwnedProcess, spawnOwned } from '../../processes/owned-process.ts'
import { signalGroup } from '../../processes/process-group.ts'

type NodeSetting = Omit<Parameters<typeof spawnOwned>[0], 'restart' | 'onUnexpectedExit'>

/** A regional node that is started again after each death, with the failpoint that is drawn for its next life. */
export class ChaosNode implements AsyncDisposable {
  readonly #setting: NodeSetting
  readonly #nextFailpoint: () => string | null
  readonly #onDeath: (failpoint: string | null) => void
  readonly #ending = new AbortController()
  #process: OwnedProcess | undefined
  #failpoint: string | null = null
  #isKilled = false
  #life: Promise<void> = Promise.resolve()

  constructor(setting: NodeSetting, nextFailpoint: () => string | null, onDeath: (failpoint: string | null) => void) {
    this.#setting = setting
    this.#nextFailpoint = nextFailpoint
    this.#onDeath = onDeath
  }

  async start(): Promise<void> {
    await this.#spawn(null)
    this.#life = this.#live()
  }

  get isUp(): boolean {
    return this.#process?.pid !== undefined
  }

  /** `kill -9`; the next life has the failpoint that is drawn for it. */
  kill(): void {
    this.#isKilled = true
    this.#process?.sendSignal('SIGKILL')
  }

  /** Stops the process for a while. Resolves when it goes on. */
  async freeze(seconds: number): Promise<void> {
    const pid = this.#process?.pid
    if (pid === undefined) return
    signalGroup(pid, 'SIGSTOP')
    try {
      await delay(seconds * 1000, undefined, { signal: this.#ending.signal }).catch(() => undefined)
    } finally {
      signalGroup(pid, 'SIGCONT')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    await this.#process?.stop()
    await this.#life
  }

  async #live(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await this.#process?.ended
      if (this.#ending.signal.aborted) return
      this.#onDeath(this.#isKilled ? null : this.#failpoint)
      this.#isKilled = false
      // A failpoint may end a life before it is ready: the next one comes without.
      await this.#spawn(this.#nextFailpoint()).catch(() => this.#spawn(null).catch(() => undefined))
    }
  }

  async #spawn(failpoint: string | null): Promise<void> {
    this.#failpoint = failpoint
    const env = failpoint === null ? this.#setting.env : { ...this.#setting.env, FAILPOINT: failpoint }
    this.#process = await spawnOwned({ ...this.#setting, env, restart: 'never' })
  }
}
