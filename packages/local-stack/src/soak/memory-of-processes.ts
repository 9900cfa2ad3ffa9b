import { readFile } from 'node:fs/promises'
import { processTree } from '../testing/processes.ts'

/** A process as it is called in the report, and the memory that is its own (RssAnon of Linux): no file pages, nothing shared. */
export type ProcessMemory = { readonly pid: number; readonly name: string; readonly bytes: number }

/** Kind of a process by its command line: the deployable, the script, or the program. */
const nameOf = (command: string): string => {
  const deployable = /(regional-node|edge-agent)\/dist\/main\.mjs/.exec(command)?.[1]
  if (deployable !== undefined) return deployable
  const script = /([^/\s]+)\.(?:mjs|js|ts)(?=\s|$)/.exec(command)?.[1]
  if (script !== undefined) return script
  return (command.split(/[\s:]/)[0] ?? '').split('/').at(-1) || 'unknown'
}

const ownBytes = async (pid: number): Promise<number | undefined> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const [, kibibytes] = /^RssAnon:\s+(\d+) kB/m.exec(status) ?? []
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
}

/** Every process below this one; not this one itself, which keeps the samples. */
export const memoryOfProcesses = async (): Promise<readonly ProcessMemory[]> => {
  const below = (await processTree(process.pid)).filter(({ pid }) => pid !== process.pid)
  const found = await Promise.all(
    below.map(async ({ pid, command }) => ({ pid, name: nameOf(command), bytes: await ownBytes(pid) })),
  )
  return found.flatMap(({ bytes, ...entry }) => (bytes === undefined ? [] : [{ ...entry, bytes }]))
}
