import { readFileSync } from 'node:fs'

/** Resident memory of a process now and at its highest, MB; undefined where the system does not tell (no /proc). */
export function memoryUse(pid: number): { readonly nowMegabytes: number; readonly mostMegabytes: number } | undefined {
  let status: string
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return undefined
  }
  const megabytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) / 1024
  return { nowMegabytes: megabytes('VmRSS'), mostMegabytes: megabytes('VmHWM') }
}
