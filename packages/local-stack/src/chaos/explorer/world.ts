import assert from 'node:assert/strict'
import type { ShardSummed } from '@tributary/contracts/events'
import { type Command, SimulatedCentral, type StatusAnswer, type TaskState } from './central.ts'
import { Draw } from './draw.ts'
import { History } from './history.ts'
import { devicesOf, drawScenario, examplesOf, type Fault, nodesPerRegion, regions, type Scenario } from './scenario.ts'
import { type Host, SimulatedNode } from './simulated-node.ts'

const begin = Date.parse('2026-01-01T00:00:00Z')
const statusMillis = 5000
const mostSteps = 60_000
/** Every attempt settles by its deadline and so long after it. */
const settleMillis = 90_000

type Message =
  | { readonly to: 'central'; readonly event: ShardSummed }
  | { readonly to: 'node'; readonly node: SimulatedNode; readonly command: Command }
  | { readonly to: 'merge'; readonly attempt: string }
  | {
      readonly to: 'caller'
      readonly node: SimulatedNode
      readonly call: number
      readonly sentAt: number
      readonly answer: StatusAnswer
    }

export type Outcome = {
  readonly state: TaskState
  readonly receipts: number
  readonly sentAgain: number
  readonly commits: number
  readonly attempts: number
  readonly epochs: number
  readonly versions: readonly string[]
  readonly faults: ReadonlyMap<Fault, number>
}

/** One history of a federation of two regions in one thread: everything that could happen next, happens in an order that the seed draws. */
export class World {
  readonly #draw: Draw
  readonly #scenario: Scenario
  readonly #history = new History()
  readonly #central: SimulatedCentral
  readonly #nodes: readonly SimulatedNode[]
  readonly #met = new Map<Fault, number>()
  #messages: Message[] = []
  #now = begin
  #isCalm = false

  constructor(seed: number) {
    this.#draw = new Draw(seed)
    this.#scenario = drawScenario(this.#draw)
    this.#nodes = regions.flatMap(region =>
      Array.from(
        { length: nodesPerRegion },
        (_, index) =>
          new SimulatedNode(`${region}-${index}`, region, {
            offset: this.#draw.between(-2000, 2000),
            sumIsFile: index % 2 === 1,
          }),
      ),
    )
    this.#central = new SimulatedCentral(this.#scenario, this.#history, {
      command: (region, command) => {
        for (const node of this.#nodes) if (node.region === region) this.#send({ to: 'node', node, command })
      },
      merge: attempt => this.#send({ to: 'merge', attempt }),
    })
  }

  /**
   * Disturbs the federation for a while, then lets it come to an end by itself.
   * @throws AssertionError where an invariant is broken
   */
  run(): Outcome {
    for (let step = 0; step < this.#scenario.steps && !this.#central.isOver; step += 1) {
      this.#disturb()
      this.#goOn()
      this.#checkSettled()
    }
    this.#isCalm = true
    for (const node of this.#nodes) node.absentUntil = 0
    for (const [, host] of this.#hosts()) host.shard.isDiskFull = false
    this.#central.resume(this.#now)
    for (let step = 0; !this.#central.isOver; step += 1) {
      assert.ok(step < mostSteps, 'I8: the task never ends, though nothing is in its way')
      this.#goOn()
      this.#checkSettled()
    }
    this.#history.check()
    return {
      state: this.#central.state,
      receipts: this.#history.receipts,
      sentAgain: this.#history.sentAgain,
      commits: this.#history.commits.length,
      attempts: this.#central.attempts.length,
      epochs: Math.max(0, ...this.#central.attempts.flatMap(({ shards }) => shards.map(({ plan }) => plan.epoch))),
      versions: this.#history.commits.map(({ version }) => version),
      faults: this.#met,
    }
  }

  /** I8, whatever happens; a task that is paused has no attempt. */
  #checkSettled(): void {
    const { live } = this.#central
    if (live === undefined) return
    const late = this.#now - Date.parse(live.descriptor.deadline)
    assert.ok(late <= settleMillis, `I8: ${live.key} is not settled ${late} ms after its deadline`)
  }

  #goOn(): void {
    const choice = this.#draw.below(20)
    if (choice < 8) this.#happen()
    else if (choice < 13) this.#device()
    else if (choice < 16) this.#deliver()
    else this.#pass()
  }

  #present(): SimulatedNode[] {
    return this.#nodes.filter(({ absentUntil }) => absentUntil <= this.#now)
  }

  #hosts(): [SimulatedNode, Host][] {
    return this.#present().flatMap(node => [...node.hosts.values()].map((host): [SimulatedNode, Host] => [node, host]))
  }

  /** Lets one thing happen in a shard, with clock and lease as they are now. */
  #in(node: SimulatedNode, host: Host, action: () => void): void {
    node.touch(host, this.#now, this.#central)
    action()
    host.observe(this.#history, event => this.#send({ to: 'central', event }))
    if (host.shard.isLost) node.voidLost()
  }

  #happen(): void {
    const ready = this.#hosts().filter(([, host]) => host.shard.choices > 0)
    const found = this.#draw.oneOf(ready)
    if (found === undefined) return
    const [node, host] = found
    this.#in(node, host, () => {
      if (host.shard.choices > 0) host.shard.happen(this.#draw.below(host.shard.choices))
    })
  }

  /** A device asks for work, or sends its update: to whoever it takes for the holder of its shard. */
  #device(): void {
    const found = this.#draw.oneOf(this.#hosts())
    if (found === undefined) return
    const [node, host] = found
    const { region, shard } = host.plan
    const device = this.#draw.oneOf(devicesOf(region, shard))
    if (device === undefined || this.#isAway(device.id, host.attempt)) return
    this.#in(node, host, () => {
      if (this.#draw.chance(0.3))
        host.shard.arrive(device.id, this.#history.isProven(host.attempt, host.plan, device.id))
      else if (this.#meets('decline')) host.shard.decline(device.id)
      else host.shard.push(device.id, examplesOf.get(device.id))
    })
  }

  /** The same device takes no part in the same attempt, wherever it asks. */
  #isAway(device: string, attempt: string): boolean {
    const mixed = Math.imul(Number.parseInt(device.slice(-6), 16) + 1, 2_654_435_761) + Math.imul(attempt.length, 97)
    const number = Math.imul(mixed ^ (Number(attempt.at(-1)) * 7919), 40_503) >>> 0
    return (number % 1000) / 1000 < this.#scenario.dropOut
  }

  #send(message: Message): void {
    if (this.#meets('loss')) return
    this.#messages.push(message)
    if (message.to !== 'caller' && this.#meets('duplicate')) this.#messages.push(message)
  }

  /** Any that is under way, so that each may be late and overtaken. */
  #deliver(): void {
    if (this.#messages.length === 0) return
    const [message] = this.#messages.splice(this.#draw.below(this.#messages.length), 1)
    if (message === undefined) return
    if (message.to === 'central') this.#central.summed(message.event, this.#now)
    else if (message.to === 'merge') this.#central.merge(message.attempt, this.#now)
    else if (message.node.absentUntil > this.#now) this.#messages.push(message)
    else if (message.to === 'node') this.#take(message.node, message.command)
    else if (message.node.calls === message.call) {
      message.node.hear(message.answer, message.sentAt)
      for (const host of message.node.hosts.values())
        this.#in(message.node, host, () => host.shard.step({ kind: 'moment' }))
    }
  }

  #take(node: SimulatedNode, command: Command): void {
    if (command.kind === 'opened') node.open(command.descriptor)
    else node.settle(command.attempt)
  }

  #pass(): void {
    this.#now += this.#draw.between(1, 1500)
    for (const [node, host] of this.#hosts()) if (node.isHosting(host)) this.#in(node, host, () => {})
    for (const node of this.#present()) if (this.#now - node.calledAt >= statusMillis) this.#call(node)
  }

  #call(node: SimulatedNode): void {
    node.calledAt = this.#now
    node.calls += 1
    if (this.#meets('loss')) return
    const holding = [...new Set([...node.hosts.values()].map(({ attempt }) => attempt))]
    const answer = this.#central.status(node.id, node.region, node.epochs, holding, this.#now)
    this.#send({ to: 'caller', node, call: node.calls, sentAt: this.#now, answer })
  }

  #disturb(): void {
    const node = this.#draw.oneOf(this.#present())
    if (node !== undefined) {
      const isLost = this.#meets('diskLost')
      if (isLost || this.#meets('crash')) {
        node.crash(this.#draw.below(4))
        if (isLost) node.loseDisk()
        node.absentUntil = this.#now + this.#draw.between(0, isLost ? 30_000 : 8000)
      } else if (this.#meets('stop')) node.absentUntil = this.#now + this.#draw.between(5000, 40_000)
    }
    const [holder, host] = this.#draw.oneOf(this.#hosts()) ?? []
    if (holder !== undefined && host?.isPastSelection(this.#now) && this.#meets('movedLate')) {
      holder.crash(0)
      holder.loseDisk()
      holder.absentUntil = this.#now + this.#draw.between(10_000, 60_000)
    } else if (host !== undefined) {
      host.shard.isDiskFull = host.shard.isDiskFull ? this.#draw.chance(0.9) : this.#meets('diskFull')
      if (this.#meets('damage')) host.shard.damage(this.#draw.oneOf(host.shard.needed) ?? 'log')
      if (this.#meets('short')) host.shard.step({ kind: 'short' })
    }
    if (this.#meets('pause')) this.#central.pause()
    else if (this.#central.state === 'paused' && this.#draw.chance(0.1)) this.#central.resume(this.#now)
    if (this.#meets('cancel')) this.#central.cancel()
  }

  #meets(fault: Fault): boolean {
    if (this.#isCalm || !this.#draw.chance(this.#scenario.faults[fault])) return false
    this.#met.set(fault, (this.#met.get(fault) ?? 0) + 1)
    return true
  }
}
