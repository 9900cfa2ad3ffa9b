import { setTimeout as delay } from 'node:timers/promises'
import type { Draw } from '../explorer/draw.ts'
import { type ChaosFederation, until } from './chaos-federation.ts'
import type { ChaosNode } from './chaos-node.ts'
import { tearLogs } from './torn-logs.ts'

/** Past the lease of 20 s, so that another node takes the shards without anybody's help. */
const freezeSeconds = 24
/** A merge that was cut is begun anew by due work only after a while, so that rounds take long meanwhile. */
const storageSeconds = 25
/** Others hear that a lease is free with their next status, which they send every 5 s. */
const takeOverSeconds = 30

/** Strikes once. Resolves with how often the fault came: when it is over, or when one that lasts is under way. */
export type Strike = () => Promise<number>

export type StrikeContext = {
  readonly federation: ChaosFederation
  readonly draw: Draw
  /** The next lives of nodes, so many of them, get a failpoint. */
  readonly arm: (lives: number) => void
  /** Until the task is over. */
  readonly taskEnded: () => Promise<void>
}

/** The faults that come upon real processes, by name. */
export const strikesOn = ({ federation, draw, arm, taskEnded }: StrikeContext): Readonly<Record<string, Strike>> => {
  const { nodes, pids, database, storage } = federation
  const up = (): ChaosNode[] => nodes.filter(({ isUp }) => isUp)
  /** One node of each region that has another one up. */
  const replaceable = (): ChaosNode[] =>
    [...new Set(nodes.map(({ region }) => region))].flatMap(region => {
      const there = up().filter(node => node.region === region)
      return there.length < 2 ? [] : [draw.oneOf(there) as ChaosNode]
    })
  const killAll = (found: readonly number[], signal: NodeJS.Signals): number => {
    for (const pid of found) process.kill(pid, signal)
    return found.length
  }
  const nothing = async (): Promise<void> => {}

  /** While a node stands still its leases go to others; it wakes up in the belief that it still has them. */
  const splitBrain = (node: ChaosNode): Promise<number> =>
    node.freezeWhile(async () => {
      const held = await database.transaction(
        sql => sql<{ shard: number; epoch: number }[]>`
          update region_shard set lease_expires_at = now() where node = ${node.id} and lease_expires_at > now()
          returning shard, epoch`,
      )
      if (held.length === 0) return 0
      await until('another node takes the shards', takeOverSeconds, async () => {
        const [left] = await database.read(
          sql => sql<{ left: number }[]>`
            select count(*)::integer as left from region_shard
            where region = ${node.region} and node = ${node.id} and shard in ${sql(held.map(({ shard }) => shard))}`,
        )
        return left?.left === 0
      })
      return 1
    })

  return {
    'node killed': async () => {
      const node = draw.oneOf(up())
      await node?.kill(nothing)
      return node === undefined ? 0 : 1
    },
    'node lost until the task ends': async () => {
      const [node] = replaceable()
      void node?.kill(taskEnded)
      return node === undefined ? 0 : 1
    },
    'node stopped past its lease': async () => {
      const [node] = replaceable()
      await node?.freezeWhile(signal => delay(freezeSeconds * 1000, undefined, { signal }).catch(nothing))
      return node === undefined ? 0 : 1
    },
    'split brain': async () => {
      const times = await Promise.all(replaceable().map(splitBrain))
      return times.reduce((sum, count) => sum + count, 0)
    },
    'torn write': async () => {
      const torn = await Promise.all(up().map(node => node.kill(() => tearLogs(node.dataFolder, draw))))
      return torn.reduce((sum, count) => sum + count, 0)
    },
    'failpoints armed': async () => {
      arm(nodes.length + 2)
      await Promise.all(up().map(node => node.kill(nothing)))
      return 1
    },
    'agents killed': async () =>
      killAll(
        (await pids.agents()).filter(() => draw.chance(0.4)),
        'SIGKILL',
      ),
    // Harder than `pg_ctl stop -m immediate`, after which its supervisor would take it for ended on purpose.
    'database killed': async () => killAll(pids.postgres(), 'SIGKILL'),
    'broker killed': async () => killAll(pids.rabbit(), 'SIGKILL'),
    'storage faults': async () => {
      storage.begin()
      void Promise.race([taskEnded(), delay(storageSeconds * 1000, undefined, { ref: false })]).then(() =>
        storage.end(),
      )
      return 1
    },
  }
}
