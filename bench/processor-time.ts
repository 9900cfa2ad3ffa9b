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

const total = async (of: readonly Process[]): Promise<number> => {
  // One that has ended meanwhile counts no more.
  const seconds = await Promise.all(of.map(({ pid }) => cpuSeconds(pid).catch(() => 0)))
  return seconds.reduce((sum, value) => sum + value, 0)
}

/** Seconds of processor time, user and system, that a tree of processes took so far, and Postgres of this process's own. */
export const processorTimes = async (root: number): Promise<{ api: number; postgres: number }> => {
  const all = await processes()
  const api = all.filter(({ pid }) => pid === root).concat(descendants(all, root))
  const postgres = descendants(all, process.pid).filter(({ name }) => name === 'postgres')
  return { api: await total(api), postgres: await total(postgres) }
}
