import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { FunctionSpec } from '@tributary/contracts/functions'
import { Instance, type InstanceOptions } from './instance.ts'
import { type InvocationResult, ThrottledError } from './invocation.ts'
import { exponential, type Random } from './random.ts'

/** When an idle instance is thrown away. */
export interface Disposal {
  readonly random: Random
  /** Mean of the exponential idle life. */
  readonly meanIdleSeconds: number
  /** Chance that an instance is thrown away right after an invocation. */
  readonly afterInvocation: number
}

export interface PoolOptions extends Omit<InstanceOptions, 'onWaiting' | 'onGone' | 'prewarmed' | 'spec'> {
  readonly spec: FunctionSpec
  readonly disposal: Disposal
  /** Most synchronous invocations that wait for an instance. */
  readonly maxWaiting: number
  /** How long one of them waits. */
  readonly waitSeconds: number
  /** Told when an instance cannot start, with the last lines of the log. */
  readonly onTrouble: (message: string) => void
}

interface Waiter {
  readonly requestId: string
  readonly payload: Buffer
  readonly bounded: boolean
  readonly resolve: (result: InvocationResult) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout | undefined
}

/** All instances of one function: at most `concurrency`, each with one invocation at a time, frozen in between. */
export class FunctionPool implements AsyncDisposable {
  readonly spec: FunctionSpec
  readonly #options: PoolOptions
  readonly #instances = new Set<Instance>()
  /** Frozen ones, the last used at the end. */
  readonly #idle = new Map<Instance, NodeJS.Timeout>()
  readonly #waiting: Waiter[] = []
  #starting = 0
  #running = 0
  /** Have answered and will wait for work in a moment: no reason to start another one. */
  readonly #returning = new Set<Instance>()
  #stopped = false

  constructor(options: PoolOptions) {
    this.spec = options.spec
    this.#options = options
  }

  /** Process ids of all instances, also frozen ones. */
  processIds(): number[] {
    return [...this.#instances].flatMap(instance => instance.pid ?? [])
  }

  /** Starts one instance ahead of the first invocation, as provisioned concurrency would. */
  prewarm(): void {
    if (this.#instances.size === 0 && !this.#stopped) this.#start(true)
  }

  /**
   * Runs the function once.
   *
   * @param wait `bounded` for callers who wait for the answer; `unbounded` for events that their own queue bounds.
   * @throws ThrottledError when the queue is full, no instance is free in time, or the runner stops.
   */
  invoke(payload: Buffer, wait: 'bounded' | 'unbounded', requestId: string = randomUUID()): Promise<InvocationResult> {
    const { name } = this.spec
    const bounded = wait === 'bounded'
    if (this.#stopped) return Promise.reject(new ThrottledError(name, 'the runner stops'))
    if (bounded && this.#waiting.filter(waiter => waiter.bounded).length >= this.#options.maxWaiting) {
      return Promise.reject(new ThrottledError(name, `${this.#options.maxWaiting} invocations wait already`))
    }
    const { promise, resolve, reject } = Promise.withResolvers<InvocationResult>()
    const { waitSeconds } = this.#options
    const giveUp = () => {
      const place = this.#waiting.findIndex(waiter => waiter.requestId === requestId)
      if (place < 0) return
      this.#waiting.splice(place, 1)
      reject(new ThrottledError(name, `no instance became free in ${waitSeconds} s`))
    }
    const timer = bounded ? setTimeout(giveUp, waitSeconds * 1000) : undefined
    this.#waiting.push({ requestId, payload, bounded, resolve, reject, timer })
    this.#pump()
    return promise
  }

  /** Resolves when nothing runs or waits, or at the deadline. */
  async drained(deadlineSeconds: number): Promise<void> {
    const end = Date.now() + deadlineSeconds * 1000
    while (this.#running + this.#waiting.length > 0 && Date.now() < end) await delay(20)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    for (const waiter of this.#waiting.splice(0)) {
      clearTimeout(waiter.timer)
      waiter.reject(new ThrottledError(this.spec.name, 'the runner stops'))
    }
    for (const timer of this.#idle.values()) clearTimeout(timer)
    const all = [...this.#instances]
    for (const instance of all) instance.kill()
    await Promise.all(all.map(instance => instance.gone))
  }

  #pump(): void {
    while (this.#waiting.length > 0) {
      const instance = [...this.#idle.keys()].at(-1)
      if (!instance) break
      clearTimeout(this.#idle.get(instance))
      this.#idle.delete(instance)
      this.#run(instance)
    }
    const missing = this.#waiting.length - this.#starting - this.#returning.size
    const room = this.#stopped ? 0 : this.spec.concurrency - this.#instances.size
    for (let start = Math.min(missing, room); start > 0; start--) this.#start(false)
  }

  #start(prewarmed: boolean): void {
    let starting = true
    this.#starting += 1
    const started = () => {
      if (starting) this.#starting -= 1
      starting = false
    }
    this.#instances.add(
      new Instance({
        ...this.#options,
        prewarmed,
        onWaiting: instance => {
          const first = starting
          started()
          this.#returning.delete(instance)
          this.#onWaiting(instance, first)
        },
        onGone: (instance, initFailure) => {
          started()
          this.#onGone(instance, initFailure)
        },
      }),
    )
  }

  #run(instance: Instance): void {
    const waiter = this.#waiting.shift()
    if (!waiter) return
    clearTimeout(waiter.timer)
    this.#running += 1
    void instance.invoke(waiter.requestId, waiter.payload).then(result => {
      this.#running -= 1
      if (this.#instances.has(instance) && !instance.waiting) this.#returning.add(instance)
      waiter.resolve(result)
    })
  }

  #onWaiting(instance: Instance, first: boolean): void {
    const { random, afterInvocation, meanIdleSeconds } = this.#options.disposal
    if (!first && random() < afterInvocation) instance.kill()
    else if (this.#waiting.length > 0) this.#run(instance)
    else this.#keepIdle(instance, exponential(random, meanIdleSeconds))
  }

  #keepIdle(instance: Instance, seconds: number): void {
    instance.freeze()
    this.#idle.set(
      instance,
      setTimeout(() => {
        this.#idle.delete(instance)
        instance.kill()
      }, seconds * 1000),
    )
  }

  #onGone(instance: Instance, initFailure: InvocationResult | undefined): void {
    this.#instances.delete(instance)
    this.#returning.delete(instance)
    clearTimeout(this.#idle.get(instance))
    this.#idle.delete(instance)
    if (initFailure) {
      const { name } = this.spec
      this.#options.onTrouble(`${name} cannot start (${initFailure.errorType}):\n${this.#options.log.tail(5)}`)
    }
    // One failed start answers one invocation, so that a function that cannot start fails instead of starting for ever.
    const waiter = initFailure && this.#waiting.shift()
    if (waiter && initFailure) {
      clearTimeout(waiter.timer)
      waiter.resolve({ ...initFailure, requestId: waiter.requestId })
    }
    this.#pump()
  }
}
