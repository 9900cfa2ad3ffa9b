import { setTimeout as delay } from 'node:timers/promises'
import type { LinkFault } from '@tributary/regional-node/testing/tcp-proxy'
import type { ShiftedClock } from '../../testing/shifted-clock.ts'
import type { Draw } from '../explorer/draw.ts'
import type { ChaosFederation, NodeLinks } from './chaos-federation.ts'

/** How long a link is bad: a node has called central meanwhile, leases may run out, and no round comes to its deadline. */
const linkSeconds = { least: 6, most: 15 } as const
/** More than the data sets and certificates of a federation bear unnoticed. */
const clockDays = { least: 3, most: 400 } as const
const dayMillis = 86_400_000

/** How a link may be. A byte that changed or came twice shows in TLS only; the other links have it where they leave the machine. */
const linkFaults = {
  devices: ['delay', 'slow', 'cut', 'one-way', 'corrupt', 'duplicate'],
  broker: ['delay', 'slow', 'cut', 'one-way'],
  central: ['delay', 'slow', 'cut', 'one-way'],
} as const satisfies Readonly<Record<keyof NodeLinks, readonly LinkFault['kind'][]>>

/** Begins a bad spell and resolves with how often its fault came when it is over, after some seconds or with the task. */
export type Spell = () => Promise<number>

const drawFault = (kind: LinkFault['kind'], draw: Draw): LinkFault => {
  if (kind === 'delay') return { kind, millis: draw.between(50, 1500) }
  if (kind === 'slow') return { kind, bytesPerSecond: draw.between(20_000, 200_000) }
  if (kind === 'one-way') return { kind, deaf: draw.chance(0.5) ? 'client' : 'server' }
  return { kind, atByte: draw.between(0, draw.oneOf([100, 2000, 20_000]) ?? 0) }
}

/** What may be bad for a while beside everything else that happens, by name: links of nodes, and clocks. */
export const weatherOf = (
  { links, clocks }: Pick<ChaosFederation, 'links' | 'clocks'>,
  draw: Draw,
  taskEnded: () => Promise<void>,
): Readonly<Record<string, Spell>> => {
  const lasts = async (): Promise<void> => {
    const over = new AbortController()
    const millis = draw.between(linkSeconds.least * 1000, linkSeconds.most * 1000)
    await Promise.race([taskEnded(), delay(millis, undefined, { signal: over.signal })]).finally(() => over.abort())
  }
  const linkSpell =
    (side: keyof NodeLinks, kind: LinkFault['kind']): Spell =>
    async () => {
      const met = links.map(link => link[side]).filter(() => draw.chance(0.6))
      const before = met.reduce((sum, { faults }) => sum + faults, 0)
      for (const link of met) link.fault = drawFault(kind, draw)
      await lasts()
      for (const link of met) link.fault = undefined
      return met.reduce((sum, { faults }) => sum + faults, 0) - before
    }
  const busy = new Map<keyof NodeLinks, Promise<number>>()
  /** Spells of one side of the nodes come one after the other: of two at once each would count the faults of both, and the first end both. */
  const inTurn =
    (side: keyof NodeLinks, spell: Spell): Spell =>
    () => {
      const over = taskEnded().then(() => true)
      const free = busy.get(side)?.then(() => Promise.race([over, Promise.resolve(false)]))
      const own = free === undefined ? spell() : free.then(isOver => (isOver ? 0 : spell()))
      busy.set(side, own)
      return own
    }
  const clockSpell =
    (of: readonly ShiftedClock[]): Spell =>
    async () => {
      const clock = draw.oneOf(of)
      const days = draw.between(clockDays.least, clockDays.most)
      await clock?.shift((draw.chance(0.5) ? days : -days) * dayMillis)
      await taskEnded()
      await clock?.shift(0)
      return 1
    }
  const spells = Object.entries(linkFaults).flatMap(([side, kinds]) =>
    kinds.map((kind): [string, Spell] => [
      `link to ${side}: ${kind}`,
      inTurn(side as keyof NodeLinks, linkSpell(side as keyof NodeLinks, kind)),
    ]),
  )
  return {
    ...Object.fromEntries(spells),
    'clock of a node is days off': clockSpell(clocks.nodes),
    'clock of an agent is days off': clockSpell(clocks.agents),
  }
}
