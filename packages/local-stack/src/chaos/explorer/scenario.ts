import type { Draw } from './draw.ts'

export const regions = ['north', 'south'] as const
export const shardsPerRegion = 2
export const nodesPerRegion = 2
const devicesPerShard = 4

export type Device = { readonly id: string; readonly region: string; readonly shard: number; readonly examples: number }

/** Faults of one history, by how likely each is where it could happen. Of some there are none, so that others are seen alone. */
export type Scenario = {
  readonly rounds: number
  readonly steps: number
  readonly fraction: number
  readonly overSelection: number
  readonly quorum: number
  /** Share of devices that take no part in an attempt. */
  readonly dropOut: number
  readonly faults: Readonly<Record<Fault, number>>
}

export const faults = [
  'crash',
  'diskLost',
  'movedLate',
  'stop',
  'diskFull',
  'damage',
  'short',
  'loss',
  'duplicate',
  'pause',
  'cancel',
  'decline',
] as const
export type Fault = (typeof faults)[number]

const highest: Readonly<Record<Fault, number>> = {
  crash: 0.02,
  diskLost: 0.005,
  /** The holder is lost after the selection deadline, with receipts given. */
  movedLate: 0.1,
  stop: 0.01,
  diskFull: 0.02,
  /** A file that a shard needs changes on the disk. */
  damage: 0.01,
  short: 0.02,
  loss: 0.4,
  duplicate: 0.4,
  pause: 0.003,
  cancel: 0.0005,
  decline: 0.02,
}

export const drawScenario = (draw: Draw): Scenario => ({
  rounds: draw.between(2, 4),
  steps: draw.between(300, 1200),
  fraction: draw.between(2, 10) / 10,
  overSelection: draw.oneOf([1, 1.3, 2]) ?? 1,
  quorum: draw.between(1, 3),
  dropOut: draw.between(0, 9) / 10,
  faults: Object.fromEntries(
    faults.map(fault => [fault, draw.chance(0.6) ? highest[fault] * (draw.between(1, 10) / 10) : 0]),
  ) as Record<Fault, number>,
})

/** The fleet; a device in nine has no examples. */
export const fleet: readonly Device[] = regions.flatMap((region, r) =>
  Array.from({ length: shardsPerRegion * devicesPerShard }, (_, index) => ({
    id: `01900000-0000-7000-8000-${(r * 100 + index).toString(16).padStart(12, '0')}`,
    region,
    shard: index % shardsPerRegion,
    examples: (r * 8 + index) % 9 === 4 ? 0 : 1 + index,
  })),
)

export const examplesOf = new Map(fleet.map(({ id, examples }) => [id, examples]))
export const devicesOf = (region: string, shard: number): readonly Device[] =>
  fleet.filter(device => device.region === region && device.shard === shard)
