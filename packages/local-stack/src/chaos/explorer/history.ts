import assert from 'node:assert/strict'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { SimulatedShard } from '@tributary/regional-node/testing/simulated-shard'
import { sumOver, versionOf } from './exact-sum.ts'
import { devicesOf, examplesOf } from './scenario.ts'

export type Part = { readonly region: string; readonly shard: number; readonly epoch: number }
export const partKey = (attempt: string, { region, shard, epoch }: Part): string =>
  `${attempt}/${region}-${shard}-${epoch}`

export type Commit = {
  readonly attempt: string
  readonly round: number
  readonly descriptor: RoundDescriptor
  readonly base: string
  readonly version: string
  /** Shards that were in, with the epochs that central had pinned. */
  readonly parts: readonly Part[]
}

/** What happened, seen from outside, and what DESIGN section 9 says of it. */
export class History {
  readonly #receipts = new Map<string, Set<string>>()
  readonly #objects = new Map<string, ReadonlySet<string>>()
  readonly commits: Commit[] = []
  receipts = 0
  /** Receipts of devices that had one of an earlier epoch. */
  sentAgain = 0

  receipt(attempt: string, part: Part, device: string): void {
    const key = partKey(attempt, part)
    const known = this.#receipts.get(key) ?? new Set()
    if (!known.has(device)) {
      this.receipts += 1
      if (this.isProven(attempt, part, device)) this.sentAgain += 1
    }
    this.#receipts.set(key, known.add(device))
  }

  /** Whether the device has a receipt of an epoch before this one: then it was selected. */
  isProven(attempt: string, part: Part, device: string): boolean {
    for (let epoch = part.epoch - 1; epoch > 0; epoch -= 1)
      if (this.#receipts.get(partKey(attempt, { ...part, epoch }))?.has(device)) return true
    return false
  }

  /** I3: what was stored once is never stored otherwise. */
  stored(attempt: string, part: Part, devices: ReadonlySet<string>): void {
    const key = partKey(attempt, part)
    const before = this.#objects.get(key)
    if (before !== undefined) assert.deepEqual([...devices].sort(), [...before].sort(), `${key} is rewritten`)
    this.#objects.set(key, devices)
  }

  object(attempt: string, part: Part): ReadonlySet<string> {
    const object = this.#objects.get(partKey(attempt, part))
    assert.ok(object, `central was told of ${partKey(attempt, part)} before it was stored`)
    return object
  }

  /** I1, I3, I4, once all is over. */
  check(): void {
    let base = 'start'
    for (const [index, commit] of this.commits.entries()) {
      assert.equal(commit.round, index + 1, 'rounds are no line')
      assert.equal(commit.base, base, `round ${commit.round} was not made of the version before it`)
      this.#checkCounted(commit)
      base = commit.version
    }
  }

  #checkCounted({ attempt, parts, round, base, version, descriptor }: Commit): void {
    const counted: string[] = []
    for (const part of parts) {
      const object = this.object(attempt, part)
      counted.push(...object)
      const own = new Set(devicesOf(part.region, part.shard).map(({ id }) => id))
      for (const device of object) assert.ok(own.has(device), `${device} counts in a shard that is not its own`)
      for (const device of this.#receipts.get(partKey(attempt, part)) ?? []) {
        if (examplesOf.get(device) === 0) continue
        assert.ok(object.has(device), `I1: ${device} has a receipt of ${partKey(attempt, part)} and does not count`)
      }
    }
    assert.equal(new Set(counted).size, counted.length, `I1: a device counts twice in ${attempt}`)
    const again = undisturbed(descriptor, counted.sort())
    assert.deepEqual([...again].sort(), counted, 'I4: the undisturbed run counts others')
    assert.equal(versionOf(base, sumOver(again, round)), version, `I4: ${attempt} is not the sum of its updates`)
  }
}

/** The same updates in one shard, in the order of their devices, with nothing in the way. */
const undisturbed = (descriptor: RoundDescriptor, devices: readonly string[]): ReadonlySet<string> => {
  const plan = { region: 'one', shard: 0, epoch: 1, goal: devices.length, select: devices.length }
  const shard = new SimulatedShard({ ...descriptor, shards: [plan] }, devices)
  const settle = (): void => {
    while (shard.choices > 0) shard.happen(0)
  }
  settle()
  for (const device of devices) {
    shard.push(device, examplesOf.get(device))
    settle()
  }
  assert.ok(shard.stored, 'the undisturbed run does not end')
  return shard.stored
}
