import { readdir, readFile } from 'node:fs/promises'

export type ProcessEntry = {
  readonly pid: number
  readonly parent: number
  readonly startedAt: string
  readonly command: string
}

const readProcess = async (pid: number): Promise<ProcessEntry | undefined> => {
  try {
    const [stat, commandLine] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ])
    // The name is in parentheses and may hold anything. Fields after it: state, parent, …; the start time is the 20th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z') return undefined
    return {
      pid,
      parent: Number(fields[1]),
      startedAt: fields[19] ?? '',
      command: commandLine.replaceAll('\0', ' ').trim(),
    }
  } catch {
    return undefined
  }
}

const allProcesses = async (): Promise<readonly ProcessEntry[]> => {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  return (await Promise.all(pids.map(readProcess))).filter(entry => entry !== undefined)
}

/** A process and everything that descends from it. */
export const processTree = async (root: number): Promise<readonly ProcessEntry[]> => {
  const all = await allProcesses()
  const inTree = new Set([root])
  for (let grown = true; grown; ) {
    grown = false
    for (const { pid, parent } of all) {
      if (!inTree.has(parent) || inTree.has(pid)) continue
      inTree.add(pid)
      grown = true
    }
  }
  return all.filter(({ pid }) => inTree.has(pid))
}

/** Those that still run: same pid, same start time. */
export const stillRunning = async (entries: readonly ProcessEntry[]): Promise<readonly ProcessEntry[]> => {
  const now = await Promise.all(entries.map(({ pid }) => readProcess(pid)))
  return entries.filter((entry, index) => now[index]?.startedAt === entry.startedAt)
}
