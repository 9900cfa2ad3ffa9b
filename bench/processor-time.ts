import { readdir, readFile } from 'node:fs/promises'
import { cpuSeconds } from './regional-node/measured-process.ts'

type Process = { readonly pid: number; readonly parent: number; readonly name: string }

const processes = async (): Promise<Process[]> => {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async pid => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      const [, name, parent] = /^\d+ \((.*)\) \S (\d+) /.exec(stat) ?? []
      return name === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), name }]
    }),
  )
  return found.flat()
}

const descendants = (all: readonly Process[], root: number): Process[] => {
  const children = all.filter(({ parent }) => parent === root)
  return children.flatMap(child => [child, ...descendants(all, child.pid)])
}

type Times = ReadonlyMap<number, number>

const timesOf = async (of: readonly Process[]): Promise<Times> => {
  const times = await Promise.all(of.map(async ({ pid }) => [pid, await cpuSeconds(pid).catch(() => 0)] as const))
  return new Map(times)
}

/** What the processes that are there took; of one that has ended since nothing is known. */
const since = (before: Times, after: Times): number =>
  [...after].reduce((sum, [pid, seconds]) => sum + Math.max(0, seconds - (before.get(pid) ?? 0)), 0)

/**
 * Seconds of processor time, user and system, of a tree of processes, and of all Postgres processes below this one.
 * @returns a function that tells how much there was since
 */
export const watchProcessorTime = async (root: number): Promise<() => Promise<{ api: number; postgres: number }>> => {
  const read = async () => {
    const all = await processes()
    return {
      api: await timesOf(all.filter(({ pid }) => pid === root).concat(descendants(all, root))),
      postgres: await timesOf(descendants(all, process.pid).filter(({ name }) => name === 'postgres')),
    }
  }
  const before = await read()
  return async () => {
    const after = await read()
    return { api: since(before.api, after.api), postgres: since(before.postgres, after.postgres) }
  }
}
