import { setTimeout as delay } from 'node:timers/promises'
import { type OwnedProcess, spawnOwned } from '../../processes/owned-process.ts'
import { signalGroup } from '../../processes/process-group.ts'

type NodeSetting = Omit<Parameters<typeof spawnOwned>[0], 'restart' | 'onUnexpectedExit'>

export type ChaosNodeOptions = {
  readonly setting: NodeSetting
  readonly id: string
  readonly region: string
  readonly dataFolder: string
  /** The failpoint that the next life is armed with. */
  readonly nextFailpoint: () => string | null
  /** Told of a death that the failpoint of that life brought. */
  readonly onFailpoint: (failpoint: string) => void
}

/** A regional node that is started again after each death, with the failpoint that is drawn for its next life. */
export class ChaosNode implements AsyncDisposable {
  readonly id: string
  readonly region: string
  readonly dataFolder: string
  readonly #options: ChaosNodeOptions
  readonly #ending = new AbortController()
  #process: OwnedProcess | undefined
  #failpoint: string | null = null
  #isKilled = false
  #beforeNextLife: Promise<void> = Promise.resolve()
  #life: Promise<void> = Promise.resolve()

  constructor(options: ChaosNodeOptions) {
    this.#options = options
    this.id = options.id
    this.region = options.region
    this.dataFolder = options.dataFolder
  }

  async start(): Promise<void> {
    await this.#spawn(null)
    this.#life = this.#live()
  }

  get isUp(): boolean {
    return this.#process?.pid !== undefined
  }

  /**
   * `kill -9`; the next life has the failpoint that is drawn for it.
   * @param before what happens between the lives; the next one waits for it
   */
  async kill<T>(before: () => Promise<T>): Promise<T> {
    this.#isKilled = true
    const died = this.#process?.ended
    const done = (async () => {
      await died
      return await before()
    })()
    this.#beforeNextLife = done.then(
      () => {},
      () => {},
    )
    this.#process?.sendSignal('SIGKILL')
    return await done
  }

  /** Stops the process while something happens, and lets it go on as if nothing had. */
  async freezeWhile<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const pid = this.#process?.pid
    if (pid === undefined) throw new Error(`${this.#options.setting.name} is not up`)
    signalGroup(pid, 'SIGSTOP')
    try {
      return await work(this.#ending.signal)
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
      if (!this.#isKilled && this.#failpoint !== null) this.#options.onFailpoint(this.#failpoint)
      this.#isKilled = false
      await Promise.race([this.#beforeNextLife, aborted(this.#ending.signal)])
      if (this.#ending.signal.aborted) return
      // A failpoint may end a life before it is ready: the next one comes without.
      await this.#spawn(this.#options.nextFailpoint()).catch(() => this.#spawn(null).catch(() => delay(1000)))
    }
  }

  async #spawn(failpoint: string | null): Promise<void> {
    const { setting } = this.#options
    this.#failpoint = failpoint
    const env = failpoint === null ? setting.env : { ...setting.env, FAILPOINT: failpoint }
    this.#process = await spawnOwned({ ...setting, env, restart: 'never' })
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
